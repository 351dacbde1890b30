import { join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './lib/dependencies.mjs'
import { ensureDockerEngine } from './lib/docker-engine.mjs'
import { ensureTestImage } from './lib/images.mjs'
import { run, script } from './lib/run.mjs'

await script(async () => {
  await ensureDependencies()
  await ensureDockerEngine()
  await ensureBuild('all')
  await ensureTestImage()
  const args = ['--enable-source-maps', join(ROOT, 'dist/bench/main.js'), ...process.argv.slice(2)]
  await run(process.execPath, args)
})
