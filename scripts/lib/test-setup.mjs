import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './dependencies.mjs'
import { ensureDockerEngine } from './docker-engine.mjs'
import { ensureGitServers } from './git-servers.mjs'
import { ensureStaticImage, ensureTestImage } from './images.mjs'
import { say } from './run.mjs'
import { bundleServer } from './server-bundle.mjs'
import { withTestPostgres } from './test-postgres.mjs'

/**
 * Sets up what tests need (packages, a fresh build, Docker engine, images, PostgreSQL) and calls `work` with the
 * environment for them.
 */
export async function withTestSetup(work) {
  say('Setting up: packages, build, Docker engine, test image, PostgreSQL')
  await ensureDependencies()
  rmSync(join(ROOT, 'dist/test'), { recursive: true, force: true })
  rmSync(join(ROOT, 'dist/.built-all'), { force: true })
  rmSync(join(ROOT, 'dist/.tsbuildinfo'), { force: true })
  await ensureBuild('all')
  say(`  Docker engine ${await ensureDockerEngine()}`)
  bundleServer()
  await ensureStaticImage()
  await ensureTestImage()
  await ensureGitServers()
  return withTestPostgres((url) => work({ ...process.env, TEST_DATABASE_URL: url }))
}
