import { ensureServer } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

/** Forgets the recorded key of an SSH host: docs/configuration.md says when. */
await script(async () => {
  await ensureServer()
  await import('../dist/src/forget-host.js')
})
