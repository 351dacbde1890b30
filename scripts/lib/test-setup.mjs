import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './dependencies.mjs'
import { ensureDockerEngine } from './docker-engine.mjs'
import { ensureFrontend, FRONTEND_TEST } from './frontend.mjs'
import { ensureGitServers, GIT_SERVER_TESTS } from './git-servers.mjs'
import { ensureStaticImage, ensureTestImage } from './images.mjs'
import { say } from './run.mjs'
import { bundleServer } from './server-bundle.mjs'
import { withTestPostgres } from './test-postgres.mjs'

/**
 * Sets up what tests need (packages, a fresh build, Docker engine, images, PostgreSQL, other programs for those that run
 * them) and calls `work` with the environment for them.
 *
 * @param files compiled test files that are to run
 * @param isCompiled what is in dist was compiled of the sources beside it, and of nothing else
 */
export async function withTestSetup(work, { files = [], isCompiled = false } = {}) {
  say('Setting up: packages, build, Docker engine, test image, PostgreSQL')
  await ensureDependencies()
  if (!isCompiled) {
    for (const name of ['test', '.built-all', '.tsbuildinfo'])
      rmSync(join(ROOT, 'dist', name), { recursive: true, force: true })
  }
  await ensureBuild('all')
  say(`  Docker engine ${await ensureDockerEngine()}`)
  bundleServer()
  await ensureStaticImage()
  await ensureTestImage()
  const programs = await ensurePrograms(files)
  return withTestPostgres((url) => work({ ...process.env, ...programs, TEST_DATABASE_URL: url }))
}

/** Installs the programs that some of the tests run, where this user may, and gives the environment that names them. */
export async function ensurePrograms(files) {
  if (files.some((file) => GIT_SERVER_TESTS.includes(file))) await ensureGitServers()
  return files.includes(FRONTEND_TEST) ? ensureFrontend() : {}
}
