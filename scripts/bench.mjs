import { join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './lib/dependencies.mjs'
import { ensureDockerEngine } from './lib/docker-engine.mjs'
import { ensureStaticImage, ensureTestImage } from './lib/images.mjs'
import { run, script } from './lib/run.mjs'
import { bundleServer } from './lib/server-bundle.mjs'

const USAGE =
  'npm run bench -- [NAME...] [--rounds=N]: the benchmarks of bench/README.md that are named, or all'

await script({ usage: USAGE, options: { rounds: { type: 'string' } }, takesNames: true }, async () => {
  await ensureDependencies()
  await ensureBuild('all')
  await ensureDockerEngine()
  bundleServer()
  await ensureStaticImage()
  await ensureTestImage()
  const args = ['--enable-source-maps', join(ROOT, 'dist/bench/main.js'), ...process.argv.slice(2)]
  await run(process.execPath, args)
})
