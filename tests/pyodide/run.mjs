// Runs pytest in CPython 3.14 as WebAssembly, in the repository that it is called in:
// node run.mjs <folder with node_modules/pyodide> <folder of Python packages> <arguments of pytest ...>
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import process from "node:process";

const [modules, packages, ...pytest] = process.argv.slice(2);
const pyodide = resolve(modules, "node_modules/pyodide/pyodide.mjs");
const { loadPyodide } = await import(pathToFileURL(pyodide).href);
const python = await loadPyodide();
for (const [place, folder] of [["/repository", process.cwd()], ["/packages", resolve(packages)]]) {
  python.FS.mkdirTree(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, place);
}
python.FS.chdir("/repository");
python.globals.set("arguments", python.toPy(pytest));
const code = python.runPython(`
import sys
sys.dont_write_bytecode = True
sys.path[:0] = ["/repository", "/packages"]
import pytest
int(pytest.main(arguments))
`);
process.exit(code);
