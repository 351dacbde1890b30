import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'
import { withTestSetup } from './lib/test-setup.mjs'

/**
 * `npm run test:chaos`: users, strangers and poison on two processes that are killed all the while, for 8 minutes.
 * MINUTES sets another time; SEED brings the same operations and kills again.
 */
await script(
  { usage: 'npm run test:chaos: MINUTES (8) of chaos; SEED repeats operations and kills' },
  async () => {
    process.exitCode = await withTestSetup(async (env) => {
      const args = ['--enable-source-maps', join(ROOT, 'dist/test/chaos/main.js')]
      const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' })
      // PostgreSQL is stopped when it has ended, not before.
      for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
      const [code] = await once(child, 'exit')
      return code ?? 1
    })
  },
)
