// Schemas as a project in Node has them: those of the tests, and the one of the benchmark.
import { z } from "zod";

const uuid = (n) => `123e4567-e89b-42d3-a456-${String(n).padStart(12, "0")}`;

export const users = z.object({
  id: z.string().uuid(),
  email: z.string().email(),
  subscription_tier: z.enum(["free", "pro", "pro_byok"]),
  subscription_status: z.enum(["active", "canceled", "past_due", "trialing"]),
  age: z.number().int().min(0).max(150).nullable(),
  score: z.number().gt(0),
  name: z.string().min(1).max(20).optional(),
  website: z.url().nullish(),
  born: z.iso.date(),
  created_at: z.iso.datetime(),
  active: z.boolean(),
  code: z.string().regex(/^[A-Z]{2}-\d+$/),
  settings: z.object({ theme: z.string(), sizes: z.array(z.number()) }),
  login: z.discriminatedUnion("by", [
    z.object({ by: z.literal("mail"), mail: z.email() }),
    z.object({ by: z.literal("key"), days: z.int() }),
  ]),
});

const good = {
  id: uuid(1),
  email: "first.last+tag@example.org",
  subscription_tier: "pro",
  subscription_status: "active",
  age: 44,
  score: 0.5,
  name: "Ünï",
  website: "https://example.org/a?b=c",
  born: "2000-02-29",
  created_at: "2026-11-21T10:15:00.25Z",
  active: true,
  code: "AB-12",
  settings: { theme: "dark", sizes: [1, 2.5] },
  login: { by: "mail", mail: "a@example.org" },
};

// Each row differs from the good one in some columns; null stands for NULL.
const changes = [
  {},
  { age: null, website: null },
  { id: "123" },
  { id: "00000000-0000-0000-0000-000000000000" },
  { id: "123e4567-e89b-02d3-a456-426614174000" },
  { email: "nobody" },
  { email: "a@b" },
  { email: ".a@example.org" },
  { email: "a..b@example.org" },
  { email: "a'b@example.org" },
  { email: "a@-example.org" },
  { email: null },
  { subscription_tier: "gold" },
  { subscription_status: "" },
  { subscription_status: null },
  { age: -1 },
  { age: 150 },
  { age: 151 },
  { score: 0 },
  { score: 1e9 },
  { name: "" },
  { name: "x".repeat(21) },
  { name: "é".repeat(20) },
  { website: "no url" },
  { born: "2001-02-29" },
  { born: "1900-02-29" },
  { born: "2024-02-29" },
  { created_at: "2026-11-21T10:15:00+02:00" },
  { created_at: "2026-11-21T24:15:00Z" },
  { created_at: "2026-13-21T10:15:00Z" },
  { created_at: "soon" },
  { active: false },
  { active: null },
  { code: "ab-12" },
  { code: "AB-" },
  { settings: { theme: "dark", sizes: ["1"] } },
  { settings: { sizes: [] } },
  { settings: { theme: "dark", sizes: [], more: 1 }, drop: true },
  { settings: null },
  { login: { by: "key", days: 3 } },
  { login: { by: "key", days: 3.5 } },
  { login: { by: "key" } },
  { login: { by: "phone" } },
];

/** Rows for the tests. The printed schema refuses unknown members, which zod itself drops. */
export const rows = changes.filter((one) => !one.drop).map((one) => ({ ...good, ...one }));

/** A row as zod is given it: a NULL is absent where the schema does not take null. */
export function present(schema, row) {
  const members = Object.entries(row).filter(
    ([name, value]) => value !== null || schema.shape[name].safeParse(null).success,
  );
  return Object.fromEntries(members);
}

const account = {
  id: z.int(),
  public_id: z.uuid(),
  email: z.email(),
  tier: z.enum(["free", "pro", "team"]),
  created_at: z.iso.datetime(),
  age: z.int().min(0).max(150),
  balance: z.number(),
  active: z.boolean(),
  name: z.string().min(1).max(100),
  bio: z.string().max(500).nullable(),
};

/** The benchmark's table. */
export const accounts = z.object(account);
/** The same for pg, which makes a Date of a timestamp. */
export const accountsOfPg = z.object({ ...account, created_at: z.date() });
