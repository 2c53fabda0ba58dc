// Copies the prebuilt OHIF viewer out of the npm package into dist/viewer/, patched once to live
// under /viewer/ with no inline script, and with a .gz beside every text file. Nothing of OHIF is
// rebuilt or kept in the repository. A marker makes the second run instant.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { transform } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "node_modules/@ohif/app/dist");
const target = join(here, "dist/viewer");
const prefix = "/viewer/";
const compress = promisify(gzip);

/** What a reader never needs: models, whole-slide viewer, service worker, sign-in helpers, maps. */
const leftOut =
  /(^|\/)(ort|dicom-microscopy-viewer)(\/|$)|\.map$|(^|\/)(sw|init-service-worker|google|oidc-client\.min|app-config)\.js$|(^|\/)silent-refresh\.html$|\.gz$/;
/** Scripts shorter than this gain nothing by being squeezed. */
const smallest = 20_000;
const squeezed = /\.(js|css|wasm|json|svg|html)$/;

async function main() {
  if (!existsSync(source)) {
    throw new Error(`${relative(here, source)} is missing. Run "npm ci" first.`);
  }
  const marker = await fingerprint();
  if (await isCurrent(marker)) {
    console.log("viewer: already vendored");
    return;
  }
  const fresh = `${target}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  await cp(source, fresh, {
    recursive: true,
    filter: (path) => !leftOut.test(relative(source, path)),
  });
  await patchScripts(fresh);
  await patchPage(fresh);
  await patchStyles(fresh);
  await squeeze(fresh);
  await writeFile(join(fresh, ".vendored"), marker);
  await rm(target, { recursive: true, force: true });
  await rename(fresh, target);
  console.log(`viewer: vendored @ohif/app ${await version()}`);
}

async function version() {
  const file = join(source, "../package.json");
  return JSON.parse(await readFile(file, "utf8")).version;
}

/** The version and this script: a change of either vendors anew. */
async function fingerprint() {
  const script = await readFile(fileURLToPath(import.meta.url));
  return `${await version()} ${createHash("sha256").update(script).digest("hex")}`;
}

async function isCurrent(marker) {
  const file = join(target, ".vendored");
  return existsSync(file) && (await readFile(file, "utf8")) === marker;
}

/** Moves the page under the prefix and its inline scripts into files, so that script-src is 'self'. */
async function patchPage(folder) {
  const file = join(folder, "index.html");
  let page = await readFile(file, "utf8");
  page = page.replace(/<link rel="(apple-touch|yandex)[^>]*>/g, "");
  page = page.replace(/<script[^>]*init-service-worker\.js"><\/script>/, "");
  page = page.replace(/(href|src|content)="\/(?!\/)/g, `$1="${prefix}`);
  page = page.replaceAll('window.PUBLIC_URL="/"', `window.PUBLIC_URL="${prefix}"`);
  page = page.replace("<title>OHIF Viewer</title>", "<title>Concord reading room</title>");
  const inline = [];
  page = page.replace(/<script>([\s\S]*?)<\/script>/g, (_, code) => {
    inline.push(code);
    return `<script src="${prefix}inline-${inline.length}.js"></script>`;
  });
  if (inline.length !== 2 || !page.includes(`src="${prefix}app-config.js"`)) {
    throw new Error("index.html of @ohif/app is not the page this patch was written for.");
  }
  for (const [i, code] of inline.entries()) {
    await writeFile(join(folder, `inline-${i + 1}.js`), code);
  }
  const entry = (await readdir(folder)).find(isEntry);
  page = page.replace(/app\.bundle\.[0-9a-f]{16}\.js/, entry);
  const begin = `<script src="${prefix}ext/concord-begin.js"></script>`;
  page = page.replace('<meta charset="UTF-8">', `<meta charset="UTF-8">${begin}`);
  const extension = `<link rel="modulepreload" href="${prefix}ext/concord-extension.js">`;
  page = page.replace("</title>", `</title>${await preloads(folder)}${extension}`);
  await writeFile(file, page);
}

/** Scripts under the prefix, without the plugins no reader needs, and without white space. */
async function patchScripts(folder) {
  const root = '__webpack_require__.p = "/";';
  const names = (await readdir(folder)).filter((name) => name.endsWith(".js"));
  let patched = 0;
  await Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      let text = await readFile(file, "utf8");
      if (text.includes(root)) patched += 1;
      text = text.replaceAll(root, `__webpack_require__.p = "${prefix}";`);
      if (isEntry(name)) text = withoutPlugins(text);
      if (text.length > smallest) text = await squeezedScript(text, name);
      // The entry is named by what it holds now: browsers keep it for a year.
      await rm(file);
      await writeFile(join(folder, isEntry(name) ? renamed(text) : name), text);
    }),
  );
  if (patched === 0) throw new Error("No public path found to patch in the scripts of @ohif/app.");
}

const isEntry = (name) => /^app\.bundle\.[0-9a-f]{16}\.js$/.test(name);
const renamed = (text) =>
  `app.bundle.${createHash("sha256").update(text).digest("hex").slice(0, 16)}.js`;

/** The entry would load every mode and what they need before it looks which one is asked for. */
function withoutPlugins(text) {
  const unused = /^pluginImports_(extensions|modes)\.push\("(.*)"\);\n/gm;
  const stays = new Set(["@ohif/extension-default", "@ohif/extension-cornerstone"]);
  let dropped = 0;
  const trimmed = text.replace(unused, (line, _, plugin) => {
    if (stays.has(plugin)) return line;
    dropped += 1;
    return "";
  });
  if (dropped === 0) throw new Error("No list of plugins found in the entry of @ohif/app.");
  return trimmed;
}

/** Names stay: parts of the viewer look each other up by them. */
async function squeezedScript(text, name) {
  const { code } = await transform(text, {
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "inline",
    charset: "utf8",
    logLevel: "error",
    sourcefile: name,
  });
  return code;
}

/** What the page's first image needs, in the order it is asked for: asked for at once. */
async function preloads(folder) {
  const names = await readdir(folder);
  const entry = names.find(isEntry);
  const text = await readFile(join(folder, entry), "utf8");
  const hints = [];
  for (const plugin of ["@ohif/extension-cornerstone", "@ohif/mode-basic"]) {
    const loads =
      new RegExp(`module\\s*===\\s*"${plugin}"\\)(.*?)default`, "s").exec(text)?.[1] ?? "";
    const ids = [...loads.matchAll(/__webpack_require__\d*\.e\([^)]*?(\d+)\)/g)];
    if (ids.length === 0) throw new Error(`No chunks of ${plugin} found to preload.`);
    for (const [, id] of ids) {
      const script = names.find((name) => name.startsWith(`${id}.bundle.`) && name.endsWith(".js"));
      if (script) hints.push(`<link rel="preload" as="script" href="${prefix}${script}">`);
      if (names.includes(`${id}.css`)) {
        hints.push(`<link rel="preload" as="style" href="${prefix}${id}.css">`);
      }
    }
  }
  return [...new Set(hints)].join("");
}

async function patchStyles(folder) {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".css")) continue;
    const text = await readFile(join(folder, name), "utf8");
    await writeFile(
      join(folder, name),
      text.replace(/url\(\/([0-9a-z]+\.woff2?)\)/g, `url(${prefix}$1)`),
    );
  }
}

async function squeeze(folder) {
  const names = await readdir(folder, { recursive: true });
  await Promise.all(
    names
      .filter((name) => squeezed.test(name))
      .map(async (name) => {
        const raw = await readFile(join(folder, name));
        const small = await compress(raw, { level: 6 });
        if (small.length < raw.length * 0.95) await writeFile(join(folder, `${name}.gz`), small);
      }),
  );
}

await main();
