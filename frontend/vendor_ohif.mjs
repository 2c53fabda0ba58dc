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

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, "node_modules/@ohif/app/dist");
const target = join(here, "dist/viewer");
const prefix = "/viewer/";
const compress = promisify(gzip);

/** What a reader never needs: models, whole-slide viewer, service worker, sign-in helpers, maps. */
const leftOut =
  /(^|\/)(ort|dicom-microscopy-viewer)(\/|$)|\.map$|(^|\/)(sw|init-service-worker|google|oidc-client\.min|app-config)\.js$|(^|\/)silent-refresh\.html$|\.gz$/;
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
  await patchPage(fresh);
  await patchScripts(fresh);
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
  await writeFile(file, page);
}

async function patchScripts(folder) {
  const root = '__webpack_require__.p = "/";';
  let patched = 0;
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".js")) continue;
    const text = await readFile(join(folder, name), "utf8");
    if (!text.includes(root)) continue;
    await writeFile(
      join(folder, name),
      text.replaceAll(root, `__webpack_require__.p = "${prefix}";`),
    );
    patched += 1;
  }
  if (patched === 0) throw new Error("No public path found to patch in the scripts of @ohif/app.");
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
