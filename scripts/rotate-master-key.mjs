import { ensureServer } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

/** Changes the key that secrets are encrypted with: docs/configuration.md says how. */
await script(async () => {
  await ensureServer()
  await import('../dist/src/rotate-master-key.js')
})
