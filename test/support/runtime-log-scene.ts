import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { CommandError } from '../../src/engine/command-error.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { RuntimeLogFollower } from '../../src/engine/runtime-logs/follower.js'
import type { RuntimeLogReader } from '../../src/engine/runtime-logs/reader.js'
import type { RuntimeLogEntry } from '../../src/engine/runtime-logs/store.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { createLogger } from '../../src/logger.js'
import { UNLIMITED } from './docker-engines.js'
import { DockerHttp } from './docker-http.js'
import { openProcesses, type TestProcess } from './engine.js'
import { FakeDocker } from './fake-docker/fake-docker.js'

const CONFIGURATION = { port: 80, replicas: 2, memoryBytes: 1e8, cpus: 1, pids: 9, health: {}, variables: [] }

/** A worker, an API and the fake engine, for the logs of running containers. */
export class RuntimeLogScene implements AsyncDisposable {
  #count = 0

  private constructor(
    private readonly opened: Awaited<ReturnType<typeof openProcesses>>,
    readonly docker: FakeDocker,
    readonly http: DockerHttp,
  ) {}

  static async open(): Promise<RuntimeLogScene> {
    const opened = await openProcesses(2)
    const docker = await FakeDocker.start()
    const http = new DockerHttp(docker.host)
    await http.call('POST', '/networks/create', { Name: 'longshore' })
    docker.addImage('app:1', { cmd: ['sleep', '1000'] })
    return new RuntimeLogScene(opened, docker, http)
  }

  get worker(): TestProcess {
    return this.opened.processes[0] as TestProcess
  }

  get api(): TestProcess {
    return this.opened.processes[1] as TestProcess
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.docker[Symbol.asyncDispose]()
    await this.opened[Symbol.asyncDispose]()
  }

  follower(workerId: string): RuntimeLogFollower {
    const port = new Dockerode({
      ...UNLIMITED,
      dockerHost: this.docker.host,
      builder: 'classic',
      buildSilenceMs: 9_000,
      dockerTimeoutMs: 9_000,
    })
    const { database, wakeups } = this.worker
    const dependencies = { database, wakeups, docker: port, logger: createLogger('error') }
    const started = new RuntimeLogFollower(
      { ...dependencies, secrets: new SecretBox(randomBytes(32)) },
      workerId,
    )
    started.start()
    return started
  }

  /** A stage whose traffic goes to a deployment of two replicas on the fake engine. */
  async serving(): Promise<{ appId: string; stageId: string; names: [string, string] }> {
    const { worker, http } = this
    const name = `runs-${this.#count++}`
    const app = await worker.commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git' })
    const [rows] = await worker.database.query<[{ id: string; stage_id: string }[], number]>(
      'UPDATE deployment SET configuration = $2 WHERE app_id = $1 RETURNING id, stage_id',
      [app.id, JSON.stringify(CONFIGURATION)],
    )
    const row = rows[0]
    assert.ok(row)
    await worker.database.query('UPDATE stage SET current_deployment_id = $2 WHERE id = $1', [
      row.stage_id,
      row.id,
    ])
    const names: [string, string] = [`${name}-${row.id}`, `${name}-${row.id}-2`]
    for (const container of names) {
      const body = { Image: 'app:1', HostConfig: { NetworkMode: 'longshore' } }
      await http.call('POST', `/containers/create?name=${container}`, body)
      await http.call('POST', `/containers/${container}/start`)
    }
    return { appId: app.id, stageId: row.stage_id, names }
  }
}

/** Reads until there are so many lines. */
export async function readLines(reader: RuntimeLogReader, most: number): Promise<string[]> {
  const lines: string[] = []
  while (lines.length < most) {
    const result = await reader.next()
    if (result.done) break
    const entry = result.value
    if (entry instanceof CommandError) throw entry
    lines.push(...entry.text.slice(0, -1).split('\n'))
  }
  return lines
}

/** The next entry. */
export async function nextEntry(reader: RuntimeLogReader): Promise<RuntimeLogEntry> {
  const result = await reader.next()
  assert.ok(!result.done, 'the log has ended')
  if (result.value instanceof CommandError) throw result.value
  return result.value
}
