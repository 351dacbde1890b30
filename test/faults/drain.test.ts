import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

const DRAIN_SECONDS = 8

/** What a WebSocket answers to one message. */
async function echo(socket: WebSocket, text: string): Promise<string> {
  socket.send(text)
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString('utf8')
}

/** For how many seconds a deployment was looked at before traffic moved to it. */
async function checkedFor(scene: Scene, id: string): Promise<number> {
  const at = (status: string) => `max(at) FILTER (WHERE to_status = '${status}')`
  const sql = `SELECT extract(epoch FROM ${at('ROUTING')} - ${at('STARTING')})::float8 AS seconds
                 FROM deployment_event WHERE deployment_id = $1`
  return (await scene.rows<{ seconds: number }>(sql, [id]))[0]?.seconds ?? Number.NaN
}

test('a WebSocket of the version that is replaced goes on, and is closed when its drain is over', async () => {
  await using scene = await Scene.open()
  await using worker = await scene.workerHere({ DRAIN_SECONDS: String(DRAIN_SECONDS) })
  assert.ok(worker)
  const app = await scene.app('talking')
  await scene.rows('UPDATE stage SET health_stable_seconds = NULL')
  const first = await scene.deploy(app)
  await scene.reaches(first, 'RUNNING')
  // The router hears of it when it is committed.
  await until(async () => (await scene.ask(app)).status === 200)
  const url = `ws://127.0.0.1:${scene.installation.routerPort}/`
  const socket = new WebSocket(url, { headers: { host: 'talking.localhost' } })
  await once(socket, 'open')
  assert.equal(await echo(socket, 'before'), 'first: before')

  scene.repository.commit(webApp('second'))
  const second = await scene.deploy(app)
  await scene.reaches(second, 'RUNNING')
  const closed = once(socket, 'close').then(() => Date.now())
  await until(async () => (await scene.ask(app)).body === 'second')
  assert.equal(await echo(socket, 'after'), 'first: after')
  const sql = 'SELECT drain_until FROM deployment WHERE id = $1'
  const [drain] = await scene.rows<{ drain_until: Date }>(sql, [first])
  assert.ok(drain)
  const late = (await closed) - drain.drain_until.getTime()
  assert.ok(late > -500, `it was closed ${-late} ms before the end of the drain`)

  // By default a version that replaces another has to stay well for a while, and the first of a stage has not.
  const [one, two] = [await checkedFor(scene, first), await checkedFor(scene, second)]
  assert.ok(one < 3, `the first version of a stage was looked at for ${one} s`)
  assert.ok(two >= 3, `the one that replaced it was looked at for ${two} s`)
})
