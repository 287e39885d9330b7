// What `whimbrel validate` is measured beside: zod over the rows of a table, in Node.
//   node validate.mjs sqlite FILE
//   node validate.mjs postgres URL
import pg from "pg";
import { accounts, accountsOfPg } from "./schemas.mjs";

const [kind, address] = process.argv.slice(2);
let count = 0;
let wrong = 0;

function judge(schema, row) {
  count += 1;
  if (!schema.safeParse(row).success) wrong += 1;
}

if (kind === "sqlite") {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(address, { readOnly: true });
  for (const row of database.prepare("SELECT * FROM accounts").iterate()) {
    row.active = row.active === 1;
    judge(accounts, row);
  }
} else {
  // Numbers as numbers, which the driver gives as texts.
  pg.types.setTypeParser(pg.types.builtins.INT8, Number);
  pg.types.setTypeParser(pg.types.builtins.NUMERIC, Number);
  const client = new pg.Client(address);
  await client.connect();
  await client.query("BEGIN READ ONLY; DECLARE c NO SCROLL CURSOR FOR SELECT * FROM accounts");
  for (;;) {
    const { rows } = await client.query("FETCH 10000 FROM c");
    if (rows.length === 0) break;
    for (const row of rows) judge(accountsOfPg, row);
  }
  await client.end();
}
console.log(`${count} rows, ${wrong} wrong`);
process.exitCode = wrong === 0 ? 0 : 3;
