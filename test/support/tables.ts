import pg from 'pg'

/** Runs one statement on a connection of its own. */
export async function onDatabase(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql, values)).rows
  } finally {
    await client.end()
  }
}

/** Every text in every table, as a dump of the database would hold it. */
export async function textsInDatabase(url: string): Promise<string[]> {
  const tables = await onDatabase(
    url,
    `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'`,
  )
  const texts: string[] = []
  for (const { name } of tables) {
    const rows = await onDatabase(url, `SELECT to_jsonb(t) AS row FROM ${String(name)} t`)
    texts.push(...rows.flatMap(({ row }) => textsIn(row)))
  }
  return texts
}

/** The strings in a value, however deep. */
export function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => [name, ...textsIn(inner)])
}
