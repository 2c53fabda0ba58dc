// Bundles the viewer's extension and mode and the pages' scripts into dist/ (never committed).

import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const from = (path) => join(here, path);

const shared = {
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: false,
  legalComments: "none",
  logLevel: "warning",
};

await mkdir(from("dist/pages"), { recursive: true });
await Promise.all([
  build({
    ...shared,
    entryPoints: {
      "concord-extension": from("viewer/extension.ts"),
      "concord-mode": from("viewer/mode.ts"),
      "concord-settle-mode": from("viewer/settle/mode.ts"),
    },
    outdir: from("dist/ext"),
  }),
  // app-config.js and concord-begin.js run before the viewer as a classic script.
  build({
    ...shared,
    format: "iife",
    entryPoints: {
      "app-config": from("viewer/app_config.ts"),
      "concord-begin": from("viewer/opening/begin.ts"),
      "concord-fetcher": from("viewer/opening/fetcher.ts"),
    },
    outdir: from("dist/ext"),
  }),
  build({
    ...shared,
    entryPoints: {
      worklist: from("pages/worklist.ts"),
      upload: from("pages/upload.ts"),
      remote: from("pages/remote.ts"),
      run: from("pages/run.ts"),
      sign_out: from("pages/sign_out.ts"),
      second_window: from("pages/second_window.ts"),
    },
    outdir: from("dist/pages"),
  }),
  copyFile(from("node_modules/htmx.org/dist/htmx.min.js"), from("dist/pages/htmx.min.js")),
]);
console.log("frontend: built");
