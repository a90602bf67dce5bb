// Builds what browsers load, and commits to it: `npm run build` writes, `--check` compares, `--tests` bundles the tests.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const FEEDBACK = join(HERE, "../services/ingest/src/ingest/entrypoints/assets/feedback/v1");
const CONSOLE = join(HERE, "../services/console/src/console/entrypoints/static");
const SHARED = { bundle: true, format: "esm", target: "es2022", charset: "utf8", logLevel: "warning", absWorkingDir: HERE };

async function bundle(entry) {
  const made = await build({ ...SHARED, entryPoints: [entry], minify: true, legalComments: "none", write: false });
  return Buffer.from(made.outputFiles[0].contents);
}

/** Of names and contents, so that a machine without Node can tell that a build is older than its sources. */
function sourcesDigest(folder) {
  const digest = createHash("sha256");
  for (const name of readdirSync(join(HERE, folder)).sort()) {
    digest.update(`${name}\n`).update(readFileSync(join(HERE, folder, name)));
  }
  return digest.digest("hex");
}

/** The component under a name that changes with its content, and the manifest that says which one is current. */
async function feedback() {
  const code = await bundle("feedback/src/element.ts");
  const name = `flywheel-feedback.${createHash("sha256").update(code).digest("hex").slice(0, 12)}.js`;
  const integrity = `sha384-${createHash("sha384").update(code).digest("base64")}`;
  const manifest = { file: name, integrity, bytes: code.length, sources: sourcesDigest("feedback/src") };
  return new Map([
    [join(FEEDBACK, name), code],
    [join(FEEDBACK, "manifest.json"), Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)],
  ]);
}

/** The console's one script: htmx, its SSE extension, idiomorph and our own, with their licences beside it. */
async function consoleParts() {
  const licences = ["htmx.org", "htmx-ext-sse", "idiomorph"].map((name) => {
    const { version, license } = JSON.parse(readFileSync(join(HERE, "node_modules", name, "package.json"), "utf8"));
    return `${name} ${version} (${license})\n\n${readFileSync(join(HERE, "node_modules", name, "LICENSE"), "utf8").trim()}\n`;
  });
  return new Map([
    [join(CONSOLE, "console.js"), await bundle("console/src/console.ts")],
    [join(CONSOLE, "console.js.licences.txt"), Buffer.from(licences.join("\n----\n\n"))],
  ]);
}

function write(files) {
  for (const [path, content] of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

function check(files) {
  const stale = [...files].filter(([path, content]) => {
    try {
      return !readFileSync(path).equals(content);
    } catch {
      return true;
    }
  });
  if (stale.length === 0) return;
  console.error(`Built files differ from their sources; run \`make web\` and commit:\n${stale.map(([path]) => path).join("\n")}`);
  process.exit(1);
}

async function tests() {
  const folder = join(HERE, "feedback/tests");
  const entryPoints = readdirSync(folder).map((name) => join(folder, name));
  await build({ ...SHARED, entryPoints, outdir: join(HERE, "build/tests"), platform: "node", outExtension: { ".js": ".mjs" } });
}

const mode = process.argv[2];
if (mode === "--tests") await tests();
else (mode === "--check" ? check : write)(new Map([...(await feedback()), ...(await consoleParts())]));
