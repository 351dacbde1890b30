import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { RouteFiles } from '../../src/engine/routing/route-files.js'
import { dynamicFile, epochOf } from '../../src/engine/routing/traefik-dynamic.js'
import { TraefikFileRouter } from '../../src/engine/routing/traefik-file-router.js'
import { createLogger, type Logger } from '../../src/logger.js'
import { openShop, type Shop } from '../support/routing.js'
import { parse, PLAIN, STAGE } from '../support/traefik-file.js'
import { until } from '../support/server.js'

let folder = ''
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'longshore-routes-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the files of an installation', () => {
  const text = (epoch: number, host = 'shop.test.example') =>
    dynamicFile({ ...STAGE, routeEpoch: epoch, hosts: [host] }, PLAIN) ?? ''
  const names = () => readdirSync(folder).sort()
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const NAME = 'longshore-inst-stage1.yml'

  test('never go back to an earlier switch, and change within one', async () => {
    const files = new RouteFiles(folder, 'inst')
    assert.equal(await files.write('stage1', text(7)), 'written')
    assert.equal(await files.write('stage1', text(6)), 'older')
    assert.equal(read(NAME), text(7))
    assert.equal(await files.write('stage1', text(7, 'other.example')), 'written')
    assert.equal(await files.write('stage1', text(8)), 'written')
    assert.equal(read(NAME), text(8))
  })

  test('are not written again when nothing has changed', async () => {
    const files = new RouteFiles(folder, 'inst')
    await files.write('stage1', text(7))
    const before = statSync(join(folder, NAME))
    let events = 0
    const watcher = watch(folder, () => (events += 1))
    assert.equal(await files.write('stage1', text(7)), 'same')
    watcher.close()
    const after = statSync(join(folder, NAME))
    assert.deepEqual([after.ino, after.mtimeMs, events], [before.ino, before.mtimeMs, 0])
  })

  test('replace what is half a file, or nobody’s', async () => {
    const files = new RouteFiles(folder, 'inst')
    for (const broken of ['', text(9).slice(0, 60), 'http: {}\n']) {
      writeFileSync(join(folder, NAME), broken)
      assert.equal(await files.write('stage1', text(7)), 'written', broken)
      assert.equal(read(NAME), text(7))
    }
  })

  test('are the only ones that are removed', async () => {
    const files = new RouteFiles(folder, 'inst')
    const foreign = [
      ...['dashboard.yml', 'longshore-other-stage2.yml', 'longshore-inst-.yml', 'longshore-inst-a-b.yml'],
      ...['longshore-inst2-stage2.yml', '.longshore-other-stage1.tmp', 'longshore-inst-stage2.yml.bak'],
    ]
    for (const name of foreign) writeFileSync(join(folder, name), 'theirs')
    for (const id of ['stage1', 'stage2', 'stage3']) await files.write(id, text(1))
    writeFileSync(join(folder, '.longshore-inst-stage9.tmp'), 'half')
    await files.keepOnly(new Set(['stage1']))
    assert.deepEqual(names(), [...foreign, NAME].sort())
    for (const name of foreign) assert.equal(read(name), 'theirs')
  })

  test('are the old ones, whole, when the process dies between writing and renaming', async () => {
    await new RouteFiles(folder, 'inst').write('stage1', text(7))
    const module = (path: string) =>
      JSON.stringify(new URL(`../../src/engine/routing/${path}`, import.meta.url).href)
    const script = `
      import { RouteFiles } from ${module('route-files.js')}
      const die = () => process.kill(process.pid, 'SIGKILL')
      await new RouteFiles(${JSON.stringify(folder)}, 'inst', die).write('stage1', ${JSON.stringify(text(8))})`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' })
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.equal(signal, 'SIGKILL')
    assert.deepEqual(names(), ['.longshore-inst-stage1.tmp', NAME])
    assert.equal(read(NAME), text(7))
    const files = new RouteFiles(folder, 'inst')
    assert.equal(await files.write('stage1', text(8)), 'written')
    await files.keepOnly(new Set(['stage1']))
    assert.deepEqual(names(), [NAME])
  })

  test('are whole at each look while they are replaced 200 times', async () => {
    const files = new RouteFiles(folder, 'inst')
    await files.write('stage1', text(1))
    const seen = new Set<number | null>()
    let over = false
    const look = async () => {
      while (!over) {
        seen.add(epochOf(read(NAME)))
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const looking = look()
    for (let epoch = 2; epoch <= 200; epoch++) await files.write('stage1', text(epoch))
    over = true
    await looking
    assert.ok(!seen.has(null) && seen.size > 1, `${seen.size} epochs seen`)
  })
})

describe('the router that writes them', () => {
  const routerFor = ({ process }: Shop, logger: Logger = createLogger('error')) =>
    new TraefikFileRouter(
      { database: process.database, wakeups: process.wakeups, logger },
      {
        ...{ dir: folder, api: null, url: 'http://127.0.0.1:1', baseDomain: 'test.example' },
        ...{ instanceId: 'inst', ...PLAIN },
      },
    )

  test('follows the table, removes what was stopped, and leaves other people’s files', async () => {
    await using shop = await openShop()
    await using router = routerFor(shop)
    writeFileSync(join(folder, 'dashboard.yml'), 'theirs')
    await router.start()
    assert.deepEqual(readdirSync(folder), ['dashboard.yml'])
    const id = await shop.add(4000)
    await shop.switchTo(id)
    await router.apply()
    const name = `longshore-inst-${shop.stageId}.yml`
    const { routers } = parse(readFileSync(join(folder, name), 'utf8'))
    assert.equal(routers[`longshore-${shop.stageId}-shop_test_example`]?.rule, 'Host(`shop.test.example`)')
    assert.equal(await router.isRoutedTo(shop.stageId, id), null, 'told, but nobody can be asked')
    assert.equal(await router.isRoutedTo(shop.stageId, 'another'), false)
    await shop.process.database.query('UPDATE stage SET stopped = true')
    shop.process.wakeups.trafficMoved(shop.stageId)
    await until(() => !readdirSync(folder).includes(name))
    assert.deepEqual(readdirSync(folder), ['dashboard.yml'])
  })

  test('writes a file again that somebody removed, without being told', async () => {
    await using shop = await openShop()
    await using router = routerFor(shop)
    await router.start()
    await shop.switchTo(await shop.add(4000))
    await router.apply()
    const path = join(folder, `longshore-inst-${shop.stageId}.yml`)
    const before = readFileSync(path, 'utf8')
    rmSync(path)
    await until(() => existsSync(path))
    assert.equal(readFileSync(path, 'utf8'), before)
  })

  test('two workers on one folder, switched 30 times: the epoch on disk only rises', async () => {
    await using shop = await openShop()
    await using one = routerFor(shop)
    await using two = routerFor(shop)
    await one.start()
    await two.start()
    const versions = [await shop.add(4000), await shop.add(4001)]
    const name = `longshore-inst-${shop.stageId}.yml`
    const epochs: number[] = []
    const applied: Promise<void>[] = []
    for (let turn = 0; turn < 30; turn++) {
      await shop.switchTo(versions[turn % 2] ?? '')
      applied.push(one.apply(), two.apply())
      if (turn % 5 === 0) await Promise.race(applied)
      if (readdirSync(folder).includes(name)) {
        epochs.push(epochOf(readFileSync(join(folder, name), 'utf8')) ?? Number.NaN)
      }
    }
    await Promise.all(applied)
    epochs.push(epochOf(readFileSync(join(folder, name), 'utf8')) ?? Number.NaN)
    assert.deepEqual(
      epochs,
      [...epochs].sort((a, b) => a - b),
    )
    assert.equal(epochs.at(-1), 30)
  })

  test('a database that is behind its file changes nothing, and it is said once', async () => {
    await using shop = await openShop()
    const said: string[] = []
    const logger = { ...createLogger('error'), warn: (message: string) => void said.push(message) }
    await using router = routerFor(shop, logger)
    const id = await shop.add(4000)
    await shop.switchTo(id)
    await router.apply()
    await shop.process.database.query('UPDATE stage SET route_epoch = 0')
    const name = `longshore-inst-${shop.stageId}.yml`
    const before = readFileSync(join(folder, name), 'utf8')
    await router.apply()
    await router.apply()
    assert.equal(readFileSync(join(folder, name), 'utf8'), before)
    assert.equal(await router.isRoutedTo(shop.stageId, id), false)
    assert.equal(said.length, 1)
  })

  test('a folder that is away is said by the call, and made up for later', async () => {
    await using shop = await openShop()
    await using router = routerFor(shop)
    await router.start()
    rmSync(folder, { recursive: true })
    const id = await shop.add(4000)
    await shop.switchTo(id)
    await assert.rejects(router.apply(), /ENOENT/)
    assert.equal(await router.isRoutedTo(shop.stageId, id), false)
    mkdirSync(folder)
    await router.apply()
    assert.equal(readdirSync(folder).length, 1)
  })
})
