import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './dependencies.mjs'
import { ensureDockerEngine } from './docker-engine.mjs'
import { ensureStaticImage, ensureTestImage } from './images.mjs'
import { say } from './run.mjs'
import { bundleServer } from './server-bundle.mjs'
import { withTestPostgres } from './test-postgres.mjs'

/**
 * Sets up what tests need (packages, Docker engine, a fresh build, images, PostgreSQL) and calls `work` with the
 * environment for them.
 */
export async function withTestSetup(work) {
  say('Setting up: packages, Docker engine, build, test image, PostgreSQL')
  await ensureDependencies()
  say(`  Docker engine ${await ensureDockerEngine()}`)
  rmSync(join(ROOT, 'dist/test'), { recursive: true, force: true })
  rmSync(join(ROOT, 'dist/.built-all'), { force: true })
  rmSync(join(ROOT, 'dist/.tsbuildinfo'), { force: true })
  await ensureBuild('all')
  bundleServer()
  await ensureStaticImage()
  await ensureTestImage()
  return withTestPostgres((url) => work({ ...process.env, TEST_DATABASE_URL: url }))
}
