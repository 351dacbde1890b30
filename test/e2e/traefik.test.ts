import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { epochOf } from '../../src/engine/routing/traefik-dynamic.js'
import { followLog, readDeployment } from '../support/client.js'
import { webApp } from '../support/repository.js'
import { fetchHost, Installation, until } from '../support/server.js'
import { type Serving, serving } from '../support/serving.js'
import { type StandIn, startStandIn } from '../support/traefik.js'
import { visit } from '../support/visit.js'

const HOST = 'routed.localhost'
/** As by default, a drain ends before the router has to have followed: what served is there all the same. */
const ENV = { ROUTER: 'traefik', DRAIN_SECONDS: '3', ROUTER_CONFIRM_SECONDS: '5', WATCH_SECONDS: '20' }

/** Each test goes on where the one before it ended. */
describe('ROUTER=traefik, the files read by a stand-in', () => {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-routes-'))
  let installation: Installation
  let gateway: StandIn
  let app: Serving
  let serves = ''

  before(async () => {
    installation = await Installation.create()
    gateway = await startStandIn(dir)
    await start()
    app = await serving(installation, 'routed', webApp('one'))
    serves = app.first
  })
  after(async () => {
    await app[Symbol.asyncDispose]()
    await installation[Symbol.asyncDispose]()
    await gateway[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })

  const start = () => {
    const traefik = { TRAEFIK_DIR: dir, TRAEFIK_URL: `http://127.0.0.1:${gateway.port}` }
    return installation.start({ ...ENV, ...traefik, TRAEFIK_API: gateway.api })
  }
  const ask = (host: string) => fetchHost(gateway.port, host)
  /** The stage's one file. One that is being written has a name that Traefik passes over. */
  const file = () => {
    const files = readdirSync(dir).filter((name) => !name.startsWith('.'))
    assert.match(files.join(), /^longshore-\w+-\w+\.yml$/)
    return join(dir, files[0] ?? '')
  }
  const epoch = () => epochOf(readFileSync(file(), 'utf8')) ?? Number.NaN

  test('a deployment is a file, and the next one a later switch in it, without a failed request', async () => {
    assert.equal((await ask(HOST)).body, 'one')
    const before = epoch()
    await using seen = visit(gateway.port, HOST)
    const next = await app.next(webApp('two'))
    assert.equal(next.end, 'RUNNING', next.log)
    assert.equal((await ask(HOST)).body, 'two')
    assert.equal(epoch(), before + 1)
    assert.equal((await ask(`routed-${next.id}.localhost`)).body, 'two')
    const [old, fresh] = [`routed-${serves}`, `routed-${next.id}`]
    assert.equal((await ask(`${old}.localhost`)).body, 'one', 'it drains')
    await until(async () => (await ask(`${old}.localhost`)).status === 404)
    assert.doesNotMatch(readFileSync(file(), 'utf8'), new RegExp(old))
    assert.equal((await ask(`${fresh}.localhost`)).body, 'two')
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['one', 'two'])
    serves = next.id
  })

  test('the files are enough: for a Traefik that starts, and while Longshore is away', async () => {
    const before = epoch()
    await installation.processes.at(-1)?.kill()
    await gateway[Symbol.asyncDispose]()
    gateway = await startStandIn(dir)
    assert.equal((await ask(HOST)).body, 'two')
    await start()
    assert.equal((await ask(HOST)).body, 'two')
    assert.equal(epoch(), before)
  })

  test('a Traefik that does not follow a switch: traffic goes back to what it still sends it to', async () => {
    await using seen = visit(gateway.port, HOST)
    const id = await app.begin(webApp('three'))
    gateway.stopFollowingAt(`routed-${id}.localhost`)
    assert.equal((await followLog(installation.port, id)).at(-1)?.end?.status, 'ROLLED_BACK')
    assert.equal((await readDeployment(installation.port, id)).status, 'ROLLED_BACK')
    const { error } = await readDeployment(installation.port, id)
    assert.match(
      error?.message ?? '',
      new RegExp(`rolled back to ${serves}: the router does not send traffic`),
    )
    assert.equal((await readDeployment(installation.port, serves)).status, 'RUNNING')
    assert.deepEqual(seen.failures, [])
    assert.deepEqual([...seen.pages], ['two'])
  })

  test('a Traefik that is not on the network of the apps: nothing is switched to what it does not reach', async () => {
    gateway.isCutOff = true
    const next = await app.next(webApp('unreached'))
    gateway.isCutOff = false
    const { error } = await readDeployment(installation.port, next.id)
    assert.deepEqual([next.end, error?.code], ['FAILED', 'ROUTER_UNREACHABLE'])
    assert.match(error?.message ?? '', /is Traefik on the Docker network "longshore"\?/)
    assert.match(
      error?.message ?? '',
      /at Traefik \(TRAEFIK_URL \S+\) was not answered within 2 s; the container itself, at \S+:8080, answered 200/,
    )
    assert.equal((await readDeployment(installation.port, serves)).status, 'RUNNING')
    assert.equal((await ask(HOST)).body, 'two')
  })

  test('a Traefik that is away: nothing is switched to what cannot be reached, and nothing taken back', async () => {
    await gateway[Symbol.asyncDispose]()
    const next = await app.next(webApp('four'))
    assert.equal(next.end, 'FAILED')
    const { error } = await readDeployment(installation.port, next.id)
    assert.equal(error?.code, 'ROUTER_UNREACHABLE')
    assert.match(
      error?.message ?? '',
      /at Traefik \(TRAEFIK_URL \S+\) got no answer \(ECONNREFUSED\); the container/,
    )
    assert.equal((await readDeployment(installation.port, serves)).status, 'RUNNING')
    gateway = await startStandIn(dir)
    assert.equal((await ask(HOST)).body, 'two')
  })
})
