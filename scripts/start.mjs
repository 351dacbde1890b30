import module from 'node:module'
import { join } from 'node:path'
import { ensureServer, ROOT } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

await script({ usage: 'npm start: Longshore, with the settings of docs/configuration.md' }, async () => {
  await ensureServer()
  // Node.js 22 and newer keep what they compile: the next start takes less time.
  module.enableCompileCache?.(join(ROOT, 'dist/.compile-cache'))
  const { main } = await import('../dist/src/main.js')
  await main()
})
