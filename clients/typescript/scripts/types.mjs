// Writes src/openapi.ts, the items' types, from the service's OpenAPI document: a file, or the address of a running
// service in demo mode.
//
//     npm run types -- http://127.0.0.1:8000/api/schema
//     npm run types -- --check document.json      ends with 1 if the file is not what the document says
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const ITEMS = ["FailureEvent", "RoomActivity", "AgentRun", "AgentReview"];
const FILE = new URL("../src/openapi.ts", import.meta.url);
const HEAD = "// Made by `npm run types` from the service's OpenAPI document. Do not edit.\n/* eslint-disable */\n\n";

const check = process.argv.includes("--check");
const from = process.argv.slice(2).find((argument) => !argument.startsWith("--"));
if (from === undefined) {
  throw new Error("say where the document is: a file or an address");
}
const text = /^https?:/.test(from) ? await (await fetch(from)).text() : await readFile(from, "utf8");
const document = JSON.parse(text);

/** The items' schemas, and those they refer to. */
function wanted(schemas) {
  const found = {};
  const add = (name) => {
    if (found[name] !== undefined) return;
    if (schemas[name] === undefined) throw new Error(`the document knows no ${name}`);
    found[name] = structuredClone(schemas[name]);
    delete found[name].allOf; // what each signal needs is judged by the service
    for (const [, other] of JSON.stringify(found[name]).matchAll(/#\/components\/schemas\/(\w+)/g)) add(other);
  };
  ITEMS.forEach(add);
  return found;
}

const { openapi, info, components } = document;
const small = {
  openapi,
  info: { title: info.title, version: info.version },
  paths: {},
  components: { schemas: wanted(components.schemas) },
};
const made = HEAD + astToString(await openapiTS(small, { alphabetize: true }));
if (check) {
  if ((await readFile(FILE, "utf8")) !== made) {
    console.error("src/openapi.ts is not what the document says: npm run types");
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, made);
}
