// Parses AsyncAPI files and prints what the parser says of each, as JSON: severity 0 is an error, 1 a warning.
import { Parser, fromFile } from "@asyncapi/parser";

const names = (parts) => parts.all().map((part) => part.id()).sort();
const results = [];
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await fromFile(new Parser(), file).parse();
  results.push({
    diagnostics: diagnostics.map(({ severity, path, message }) => ({ severity, path: path.join("/"), message })),
    channels: document ? names(document.channels()) : [],
    operations: document ? names(document.operations()) : [],
  });
}
console.log(JSON.stringify(results));
