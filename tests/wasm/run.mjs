// Runs every check that the module exports, and fails where one traps.
import { readFileSync } from "node:fs";

const bytes = readFileSync(process.argv[2]);
let memory;
const show = (start, length) =>
  console.error(new TextDecoder().decode(new Uint8Array(memory.buffer, start, length)));
const module = await WebAssembly.compile(bytes);
const checks = WebAssembly.Module.exports(module).filter(({ name }) => name.startsWith("check_"));
let failed = checks.length === 0;
for (const { name } of checks) {
  // An instance that has trapped is not used again.
  const instance = await WebAssembly.instantiate(module, { host: { show } });
  memory = instance.exports.memory;
  try {
    console.log(`${name}: ${instance.exports[name]()}`);
  } catch (error) {
    console.error(`${name}: ${error}`);
    failed = true;
  }
}
process.exitCode = failed ? 1 : 0;
