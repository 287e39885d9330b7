// Prints what zod prints and says of its own: `node zod.mjs rows`, or `node zod.mjs accounts`.
import { z } from "zod";
import { accounts, present, rows, users } from "./schemas.mjs";

const out =
  process.argv[2] === "accounts"
    ? z.toJSONSchema(accounts)
    : {
        schema: z.toJSONSchema(users),
        rows: rows.map((row) => ({ row, valid: users.safeParse(present(users, row)).success })),
      };
console.log(JSON.stringify(out));
