import { join } from 'node:path'
import { ROOT } from './lib/dependencies.mjs'
import { run, script } from './lib/run.mjs'
import { withTestSetup } from './lib/test-setup.mjs'

/** `npm run test:soak`: the model test alone, for hours. RUNS sets another number of runs. */
await script({ usage: 'npm run test:soak: the model alone, RUNS (20000) times' }, () =>
  withTestSetup((env) => {
    const bounds = { RUNS: env.RUNS ?? '20000', MOST_SECONDS: env.MOST_SECONDS ?? String(24 * 3600) }
    const args = ['--enable-source-maps', '--test-reporter=spec', join(ROOT, 'dist/test/model/model.test.js')]
    return run(process.execPath, args, { cwd: ROOT, env: { ...env, ...bounds } })
  }),
)
