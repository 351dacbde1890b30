import { randomBytes } from 'node:crypto'
import type { DataSource } from 'typeorm'
import { openDatabase } from '../../src/database.js'
import { Commands } from '../../src/engine/commands.js'
import type { CommandDependencies } from '../../src/engine/commands/dependencies.js'
import { LogHub } from '../../src/engine/logs/hub.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { Wakeups } from '../../src/engine/wakeups/wakeups.js'
import { createLogger } from '../../src/logger.js'
import { createTestDatabase, type TestDatabase } from './database.js'

/** What commands go by, in tests. */
export const COMMAND_SETTINGS: CommandDependencies['settings'] = {
  allowFileRepos: true,
  allowInsecureForges: false,
  drainMs: 0,
  baseDomain: 'localhost',
  publicUrl: 'http://127.0.0.1',
}

/** What one process of Longshore has, without its loop: several of them on one database stand for several processes. */
export class TestProcess implements AsyncDisposable {
  readonly commands: Commands
  readonly hub: LogHub
  readonly secrets = new SecretBox(randomBytes(32))

  private constructor(
    readonly database: DataSource,
    readonly wakeups: Wakeups,
  ) {
    this.commands = new Commands({
      database,
      wakeups,
      secrets: this.secrets,
      settings: COMMAND_SETTINGS,
    })
    this.hub = new LogHub(database, wakeups)
  }

  static async open(server: TestDatabase): Promise<TestProcess> {
    const wakeups = new Wakeups(server.url, createLogger('error'))
    await wakeups.start()
    return new TestProcess(await openDatabase(server.url), wakeups)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hub[Symbol.dispose]()
    await this.wakeups[Symbol.asyncDispose]()
    await this.database.destroy()
  }
}

/** A database with `count` processes on it. */
export async function openProcesses(count: number): Promise<{ processes: TestProcess[] } & AsyncDisposable> {
  const server = await createTestDatabase()
  const processes: TestProcess[] = []
  for (let index = 0; index < count; index++) processes.push(await TestProcess.open(server))
  return {
    processes,
    async [Symbol.asyncDispose]() {
      for (const process of processes) await process[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
