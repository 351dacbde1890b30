import { ensureServer } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

const USAGE =
  'npm run forget-host -- HOST: forgets the recorded key of an SSH host, as docs/configuration.md says'

await script({ usage: USAGE, takesNames: true }, async () => {
  await ensureServer()
  await import('../dist/src/forget-host.js')
})
