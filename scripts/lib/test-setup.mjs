import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBuild, ensureDependencies, ROOT } from './dependencies.mjs'
import { ensureDockerEngine } from './docker-engine.mjs'
import { ensureStaticImage, ensureTestImage } from './images.mjs'
import { say } from './run.mjs'

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
  await ensureStaticImage()
  await ensureTestImage()
  const { startEmbeddedServer } = await import('../../dist/src/postgres/embedded-server.js')
  const folder = mkdtempSync(join(tmpdir(), 'longshore-test-'))
  const server = process.env.TEST_DATABASE_URL ? null : await startEmbeddedServer(folder)
  try {
    const url = server?.url ?? process.env.TEST_DATABASE_URL
    return await work({ ...process.env, TEST_DATABASE_URL: url })
  } finally {
    await server?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
}
