import { join } from 'node:path'
import { ensureBuild, ROOT } from './lib/dependencies.mjs'
import { run, script } from './lib/run.mjs'

/** Tests that need the sources alone: layers, cycles, owners, walks; descriptions and promises of the schema; OpenAPI; examples. */
const RULES = [
  'architecture',
  'architecture-walks',
  'unit/schema-descriptions',
  'unit/released-schema',
  'unit/configuration-reference',
  'unit/openapi',
  'unit/documented-operations',
]

await script({ usage: 'npm run check:rules: the tests that need the sources alone' }, async () => {
  await ensureBuild('all')
  const files = RULES.map((name) => join(ROOT, `dist/test/${name}.test.js`))
  await run(process.execPath, ['--test', '--test-reporter=dot', ...files], { cwd: ROOT })
})
