import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { DataSourceOptions } from 'typeorm'
import { DeploymentChanges } from '../../src/engine/changes.js'
import { LogReader } from '../../src/engine/logs/reader.js'
import { RetryWindow } from '../../src/engine/wakeups/retry-window.js'
import { openRuntimeLog } from '../../src/engine/runtime-logs/reader.js'
import { appendChunks, claimViewers } from '../../src/engine/runtime-logs/store.js'
import type { Deployment } from '../../src/entities/deployment.js'
import { LogStream } from '../../src/entities/deployment-status.js'
import { openProcesses, TestProcess } from '../support/engine.js'
import { PostgresProxy } from '../support/postgres-proxy.js'
import { until } from '../support/server.js'

describe('who follows something while the database is lost for a moment', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let worker: TestProcess
  let proxy: PostgresProxy
  let api: TestProcess
  let deployment: Deployment
  let appId = ''

  before(async () => {
    opened = await openProcesses(1)
    worker = opened.processes[0] as TestProcess
    const { url } = worker.database.options as DataSourceOptions & { url: string }
    proxy = await PostgresProxy.start(url)
    api = await TestProcess.open({ url: proxy.url, [Symbol.asyncDispose]: () => Promise.resolve() })
    const app = { name: 'followed', repoUrl: 'https://git.invalid/x.git', deploy: false }
    appId = (await worker.commands.apps.create(app)).id
    deployment = await worker.commands.deployments.deploy(appId, {})
  })
  after(async () => {
    await api[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await opened[Symbol.asyncDispose]()
  })

  /** What is given next, although the first read of it gets no answer; `write` comes after that. */
  async function nextOver<T>(
    reader: AsyncIterableIterator<T>,
    statement: RegExp,
    write: () => Promise<unknown>,
  ): Promise<T> {
    const cut = proxy.cutAfter({ statement })
    const next = reader.next()
    await until(() => cut.hits === 1)
    await write()
    const result = await next
    assert.notEqual(result.done, true)
    return result.value as T
  }

  test('goes on with the changes of deployments', async () => {
    const changes = await new DeploymentChanges(api.database, api.wakeups, { appId }).start()
    assert.equal(((await changes.next()).value as Deployment).id, deployment.id)
    const write = () => worker.commands.deployments.deploy(appId, {})
    const { status, id } = await nextOver(changes, /FROM deployment d JOIN deployment_event/, write)
    assert.equal(status, 'PENDING')
    await worker.commands.deployments.cancel(id)
    await changes.return()
  })

  test('goes on with a log', async () => {
    const log = new LogReader(api.hub, deployment.id, 0)
    const write = () => worker.commands.deployments.cancel(deployment.id)
    const entry = await nextOver(log, /FROM log_stream s/, write)
    assert.deepEqual([entry.seq, entry.end?.status], [1, 'CANCELLED'])
  })

  test('goes on with a runtime log', async () => {
    const reader = await openRuntimeLog(api, deployment.stageId, { tail: 10 })
    const write = async () => {
      const [viewer] = await worker.database.query<{ id: string }[]>('SELECT id FROM runtime_log_viewer')
      const [claim] = await claimViewers(worker.database, 'worker', 1)
      assert.ok(viewer && claim)
      const chunk = {
        deploymentId: deployment.id,
        at: new Date(),
        stream: LogStream.STDOUT,
        text: 'a line\n',
        places: [],
      }
      assert.ok(await appendChunks(worker.database, claim, { lastSeq: 0, chunks: [chunk], places: [] }))
      worker.wakeups.outputStored(viewer.id)
    }
    const entry = await nextOver(reader, /UPDATE runtime_log_viewer SET read_seq/, write)
    assert.equal('text' in entry ? entry.text : entry, 'a line\n')
    await reader.return()
  })

  test('gets the error when there has been nothing else for too long, and still waits', async () => {
    const error = new Error('away')
    const away = () => Promise.reject(error)
    const patient = new RetryWindow(() => false)
    for (let n = 0; n < 3; n++) assert.equal(await patient.run(away, 'nothing'), 'nothing')
    await assert.rejects(new RetryWindow(() => false, 0).run(away, 'nothing'), error)
    assert.equal(await new RetryWindow(() => true, 0).run(away, 'nothing'), 'nothing')
  })
})
