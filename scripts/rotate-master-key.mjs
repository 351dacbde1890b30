import { ensureServer } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

/** Changes the key that secrets are encrypted with: docs/configuration.md says how. */
await script({ usage: 'npm run rotate-master-key: encrypts all secrets with a new key' }, async () => {
  await ensureServer()
  await import('../dist/src/rotate-master-key.js')
})
