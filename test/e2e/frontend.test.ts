import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type BrowserContext, chromium } from 'playwright-core'
import { BrowserTab } from '../support/browser-tab.js'
import { hold } from '../support/hold.js'
import { PageServer } from '../support/page-server.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { type ServerProcess, TOKEN, until } from '../support/server.js'
import { TcpProxy } from '../support/tcp-proxy.js'

// dist/test/e2e → the project's root
const FRONTEND = fileURLToPath(new URL('../../../examples/frontend', import.meta.url))
const CHROMIUM = process.env.TEST_CHROMIUM
const skip = CHROMIUM ? false : 'there is no Chromium here (TEST_CHROMIUM)'
/** Some chunks of the log. */
const OUTPUT = Array.from({ length: 400 }, (_, index) => `echo line ${index} ${'x'.repeat(250)}`).join('; ')

describe('the frontend in examples/frontend', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'longshore-frontend-'))
  /** Newest last. */
  const opened: AsyncDisposable[] = []
  let scene: Scene
  let proxy: TcpProxy
  let pages: PageServer
  let api: ServerProcess
  let context: BrowserContext
  let one: BrowserTab
  let other: BrowserTab

  before(async () => {
    opened.push((scene = await Scene.open()))
    opened.push(await scene.workerHere())
    opened.push((proxy = await TcpProxy.start(scene.installation.port)))
    await build(folder, `http://127.0.0.1:${proxy.port}`)
    opened.push((pages = await PageServer.start(folder)))
    api = await startApi()
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
    opened.push(browser)
    context = await browser.newContext()
    context.setDefaultTimeout(120_000)
  })
  after(async () => {
    for (const one of opened.reverse()) await one[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  /** The page has another origin than the API. */
  function startApi(): Promise<ServerProcess> {
    return scene.installation.start({ ROLES: 'api', CORS_ORIGINS: pages.origin })
  }

  test('says what is wrong with a token, and keeps the right one over reloads and tabs', async () => {
    one = await BrowserTab.open(context, pages.origin)
    await one.page.getByLabel('Admin token').fill('not the token')
    await one.click('button', 'Sign in')
    await one.shows(/This is not the token/)

    await one.page.getByLabel('Admin token').fill(TOKEN)
    await one.click('button', 'Sign in')
    await one.shows(/No apps yet/)
    await one.page.reload()
    await one.shows(/No apps yet/)

    other = await BrowserTab.open(context, pages.origin)
    await other.shows(/No apps yet/)
    await other.shows(/Live/)
    for (const tab of [one, other]) await tab.mark()
  })

  test('shows each error of a form at its field', async () => {
    await one.click('link', 'New app')
    await one.page.getByLabel('Name', { exact: true }).fill('Not A Name')
    await one.page.getByLabel('Repository').fill('nonsense')
    await one.page.getByLabel('Port').fill('99999')
    await one.page.getByLabel('Health check path').fill('no-slash')
    await one.click('button', 'Add a variable')
    await one.page.getByLabel('Key').fill('1')
    await one.click('button', 'Create and deploy')
    const names = ['name', 'repoUrl', 'port', 'healthCheck.path', 'variables[0].key']
    await until(async () => Object.keys(await one.wrongFields()).length === names.length)
    const wrong = await one.wrongFields()
    assert.deepEqual(Object.keys(wrong).sort(), names.sort())
    for (const message of Object.values(wrong)) assert.ok(message.length > 10, message)
  })

  test('a log goes on where it was, over lost connections and a restart of the API', async () => {
    const { repository } = scene
    repository.commit(webApp('first', [OUTPUT]))
    const clone = await hold(scene, 'clone')
    await one.page.getByLabel('Name', { exact: true }).fill('shop')
    await one.page.getByLabel('Repository').fill(repository.url)
    for (const label of ['Port', 'Health check path']) await one.page.getByLabel(label).fill('')
    await one.click('button', 'Remove variable 1')
    await one.click('button', 'Create and deploy')
    await one.shows(/Cloning[^]*Log/)
    // Without a reload or a poll: by the change feed.
    await other.click('link', 'shop')
    await other.page.getByRole('link', { name: /^\w{12}$/ }).click()
    const tabs = [one, other]
    for (const tab of tabs) await until(async () => (await tab.chunks()).length > 0)
    const id = new URL(one.page.url()).pathname.split('/').at(-1) ?? ''

    // The connection is lost while most of the log is written …
    proxy.cut()
    for (const tab of tabs) await tab.shows(/Reconnecting/)
    const build = await hold(scene, 'build')
    clone.release()
    await build.reached(id)
    proxy.open()
    for (const tab of tabs) await tab.shows(/Live[^]*Building[^]*line 399/)

    // … then the API stops amid it …
    const create = await hold(scene, 'create')
    await api.stop()
    for (const tab of tabs) await tab.shows(/Reconnecting/)
    build.release()
    await create.reached(id)
    api = await startApi()
    for (const tab of tabs) await tab.shows(/Live[^]*Starting[^]*Built mvp-shop/)

    // … then nothing passes any more, and nobody is told.
    proxy.silence()
    create.release()
    await scene.reaches(id, 'RUNNING')
    for (const tab of tabs) await tab.shows(/Reconnecting/)
    proxy.open()
    for (const tab of tabs) await tab.shows(/Live[^]*Running[^]*Ended: Running/)

    const stored = await scene.rows<{ seq: number; text: string }>(
      'SELECT seq, text FROM log_chunk WHERE deployment_id = $1 ORDER BY seq',
      [id],
    )
    assert.ok(stored.length > 5, `only ${stored.length} chunks`)
    for (const tab of tabs) {
      assert.deepEqual(await tab.chunks(), stored)
      assert.ok(await tab.isMarked(), 'no full reload')
      assert.deepEqual(tab.errors, [])
    }
  })

  /** Deploys a new commit in the first tab, which shows `shop`, and holds its build. */
  async function deployHeld(text: string): Promise<{ id: string; release: () => void }> {
    scene.repository.commit(webApp(text))
    const build = await hold(scene, 'build')
    await one.click('button', 'Deploy')
    await one.shows(/Building[^]*Log/)
    return { id: new URL(one.page.url()).pathname.split('/').at(-1) ?? '', release: () => build.release() }
  }

  test('a list is live by the change feed alone', async () => {
    await other.click('link', 'Longshore')
    await other.shows(/shop[^]*Running/)
    await one.click('link', 'shop')
    const { length: before } = other.posted
    const build = await deployHeld('second')
    await other.shows(/shop[^]*Building/)
    build.release()
    await other.shows(/shop[^]*Running/)
    // For the new deployment, and once more for a change that overtook the answer: never for each status.
    const posted = other.posted.slice(before)
    assert.ok(posted.length > 0 && posted.length < 4, posted.join())
    assert.deepEqual(new Set(posted), new Set(['Apps']))
  })

  test('an answer that the change feed has overtaken does not stay', async () => {
    await one.click('link', 'shop')
    const build = await deployHeld('third')
    await other.shows(/shop[^]*Building/)
    let answered = false
    let pass: () => void = () => undefined
    const passed = new Promise<void>((resolve) => (pass = resolve))
    const restore = await other.intercept(async (route) => {
      const response = await route.fetch()
      answered = true
      await passed
      await route.fulfill({ response })
    })
    await other.click('link', 'shop')
    await until(() => answered)
    build.release()
    const running = new RegExp(`"id":"${build.id}"[^]*"status":"RUNNING"`)
    await until(() => other.received.some((message) => /"changes"/.test(message) && running.test(message)))
    pass()
    await other.shows(new RegExp(`${build.id}\\w{8} changeRunning`))
    await restore()
  })

  test('what is deleted goes from all tabs', async () => {
    await one.shows(/Ended: Running/)
    await one.click('link', 'shop')
    one.page.once('dialog', (dialog) => void dialog.accept())
    await one.click('button', 'Delete app')
    await one.shows(/No apps yet/)
    await other.shows(/does not exist any more/)
    for (const tab of [one, other]) {
      assert.ok(await tab.isMarked(), 'no full reload')
      assert.deepEqual(tab.errors, [])
    }
  })

  test('signs out in all tabs', async () => {
    await one.click('button', 'Sign out')
    for (const tab of [one, other]) await tab.shows(/Sign in to Longshore/)
  })
})

/** The frontend's own build, for an API at `url`. */
async function build(folder: string, url: string): Promise<void> {
  const args = ['run', '--silent', 'build', '--', '--outDir', folder, '--emptyOutDir', '--logLevel', 'warn']
  const env = { ...process.env, VITE_LONGSHORE_URL: url }
  await promisify(execFile)('npm', args, { cwd: FRONTEND, env })
}
