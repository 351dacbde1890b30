import { join } from 'node:path'
import type { DataSource } from 'typeorm'
import type { Config } from './config.js'
import { openDatabase } from './database.js'
import { protectDataFolder } from './data-folder.js'
import { Disposal } from './disposal.js'
import { openInstance } from './engine/secrets/instance.js'
import { LogHub } from './engine/logs/hub.js'
import type { SecretBox } from './engine/secrets/secrets.js'
import { Wakeups } from './engine/wakeups/wakeups.js'
import { forgetPostgresEnvironment } from './environment.js'
import type { Logger } from './logger.js'
import { type EmbeddedServer, startEmbeddedServer } from './postgres/embedded-server.js'

/** What both roles of a process share. */
export interface Core {
  readonly config: Config
  readonly databaseUrl: string
  readonly database: DataSource
  /** Names this installation in the labels of its containers. */
  readonly instanceId: string
  readonly wakeups: Wakeups
  readonly hub: LogHub
  readonly secrets: SecretBox
  readonly logger: Logger
}

/** An open core. Dispose it last. */
export interface OpenCore extends Core, AsyncDisposable {
  /** Rejects when something ends without which the process cannot go on: the embedded PostgreSQL. */
  readonly failed: Promise<never>
}

/** Opens the database, starting the embedded one where no other is set, and what stands on it. */
export async function openCore(config: Config, logger: Logger): Promise<OpenCore> {
  const opened = new Disposal()
  try {
    await protectDataFolder(config.dataDir)
    const { databaseUrl, database, failed } = await openDatabaseOf(config, logger, opened)
    const { id: instanceId, secrets } = await openInstance(database, config)
    if (secrets.hasPrevious)
      logger.warn('the rotation of the master key is unfinished: run npm run rotate-master-key')
    const wakeups = opened.use(new Wakeups(databaseUrl, logger))
    await wakeups.start()
    const hub = new LogHub(database, wakeups)
    opened.defer(() => hub[Symbol.dispose]())
    const core = { config, databaseUrl, database, instanceId, wakeups, hub, secrets, logger }
    return { ...core, failed, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

/** The database that the settings name, or the embedded one, which is started; `opened` closes them. */
export async function openDatabaseOf(
  config: Config,
  logger: Logger,
  opened: Disposal,
): Promise<Pick<OpenCore, 'databaseUrl' | 'database' | 'failed'>> {
  const server = config.databaseUrl ? null : opened.use(await startDatabaseServer(config, logger))
  const databaseUrl = config.databaseUrl ?? server?.url ?? ''
  const database = await openDatabase(databaseUrl)
  opened.defer(() => database.destroy())
  return { databaseUrl, database, failed: server?.failed ?? new Promise<never>(() => undefined) }
}

async function startDatabaseServer(config: Config, logger: Logger): Promise<EmbeddedServer> {
  forgetPostgresEnvironment()
  const server = await startEmbeddedServer(join(config.dataDir, 'postgres'))
  logger.info('embedded PostgreSQL started', { data: config.dataDir })
  return server
}
