import { ensureBuild, ensureDependencies } from './lib/dependencies.mjs'
import { script } from './lib/run.mjs'

await script(async () => {
  await ensureDependencies()
  await ensureBuild()
  const { main } = await import('../dist/src/main.js')
  await main()
})
