import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureServer, ROOT } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

/** Writes schema.graphql; with --check, fails where it differs from what the code says. */
const USAGE = 'npm run schema: writes schema.graphql; with -- --check, fails where it differs from the code'

await script({ usage: USAGE, options: { check: { type: 'boolean' } } }, async ({ check }) => {
  await ensureServer()
  const { printedSchema } = await import('../dist/src/resolvers/build-schema.js')
  const file = join(ROOT, 'schema.graphql')
  const schema = await printedSchema()
  if (!check) return writeFileSync(file, schema)
  const committed = readFileSync(file, 'utf8').split('\n')
  const at = schema.split('\n').findIndex((line, index) => line !== committed[index])
  if (at < 0 && schema.split('\n').length === committed.length) return undefined
  const where = `line ${at + 1}: "${committed[at] ?? ''}" should be "${schema.split('\n')[at] ?? ''}"`
  throw new Error(`schema.graphql is not what the code says (${where}): run npm run schema and commit it`)
})
