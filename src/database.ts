import 'reflect-metadata'
import { DataSource } from 'typeorm'
import { Initial1700000000001 } from '../migrations/1700000000001-initial.js'
import { DurableEngine1700000000002 } from '../migrations/1700000000002-durable-engine.js'
import { Traffic1700000000003 } from '../migrations/1700000000003-traffic.js'
import { Webhooks1700000000004 } from '../migrations/1700000000004-webhooks.js'
import { Builds1700000000005 } from '../migrations/1700000000005-builds.js'
import { Secrets1700000000006 } from '../migrations/1700000000006-secrets.js'
import { RuntimeLogs1700000000007 } from '../migrations/1700000000007-runtime-logs.js'
import { Announcements1700000000008 } from '../migrations/1700000000008-announcements.js'
import { ClippedLogs1700000000009 } from '../migrations/1700000000009-clipped-logs.js'
import { Provenance1700000000010 } from '../migrations/1700000000010-provenance.js'
import { Changes1700000000011 } from '../migrations/1700000000011-changes.js'
import { RuntimeLogCursors1700000000012 } from '../migrations/1700000000012-runtime-log-cursors.js'
import { RuntimeLogHistories1700000000013 } from '../migrations/1700000000013-runtime-log-histories.js'
import { RepositoryCredentials1700000000014 } from '../migrations/1700000000014-repository-credentials.js'
import { SeenPushes1700000000015 } from '../migrations/1700000000015-seen-pushes.js'
import { DeploymentWarnings1700000000017 } from '../migrations/1700000000017-deployment-warnings.js'
import { StageCommand1700000000018 } from '../migrations/1700000000018-stage-command.js'
import { ForgeWebhooks1700000000016 } from '../migrations/1700000000016-forge-webhooks.js'
import { DatabaseClient, SessionProbe } from './database-client.js'
import { createLogPartitions } from './engine/logs/partitions.js'
import { ENTITIES } from './entities/all.js'

/** Any number will do as long as all versions agree: the name of the lock that migrations take. */
const MIGRATION_LOCK = 7_305_516_991

/** Sessions one process may open; the wake-up listener and the lease keeper have one more each. */
const POOL_SIZE = 12

/**
 * Longer than nearly all statements take. What takes longer (a migration, a lock) costs one more session for a moment, each
 * time that this is over.
 */
const SILENT_MS = 10_000

/**
 * The server ends a session within 40 s whose host has vanished, and not after two hours: until then the locks of its
 * transaction are held, and whoever takes its work over waits for them. The last of them is for what was not acknowledged.
 */
const SERVER_KEEPALIVE = `
  SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4;
  SET tcp_user_timeout = 40000`

/**
 * The connection to the database; call `initialize()` on it, or use {@link openDatabase}.
 *
 * @param silentMs how long a statement may go unanswered before the server is asked whether it is at it
 */
export function createDataSource(url: string, silentMs = SILENT_MS): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities: ENTITIES,
    migrations: [
      Initial1700000000001,
      DurableEngine1700000000002,
      Traffic1700000000003,
      Webhooks1700000000004,
      Builds1700000000005,
      Secrets1700000000006,
      RuntimeLogs1700000000007,
      Announcements1700000000008,
      ClippedLogs1700000000009,
      Provenance1700000000010,
      Changes1700000000011,
      RuntimeLogCursors1700000000012,
      RuntimeLogHistories1700000000013,
      RepositoryCredentials1700000000014,
      SeenPushes1700000000015,
      ForgeWebhooks1700000000016,
      DeploymentWarnings1700000000017,
      StageCommand1700000000018,
    ],
    migrationsTableName: 'migration',
    synchronize: false,
    logging: false,
    poolSize: POOL_SIZE,
    applicationName: 'longshore',
    connectTimeoutMS: 10_000,
    extra: {
      // An idle session whose server has vanished ends here too, and not after the kernel's two hours.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      // A pooler in between that refuses it is no reason to have no session.
      onConnect: (client: DatabaseClient) => client.query(SERVER_KEEPALIVE).catch(() => undefined),
      Client: DatabaseClient,
      silentMs,
      probe: new SessionProbe(url),
    },
    // A lost idle connection is not an event of ours: the pool opens another for the next query.
    poolErrorHandler: () => undefined,
  })
}

/**
 * Opens the database and brings its tables up to date.
 *
 * Processes that start together do not race: the migrations run under an advisory lock.
 */
export async function openDatabase(url: string): Promise<DataSource> {
  const database = await createDataSource(url).initialize()
  try {
    await migrate(database)
    return database
  } catch (error) {
    await database.destroy()
    throw error
  }
}

async function migrate(database: DataSource): Promise<void> {
  const runner = database.createQueryRunner()
  try {
    await runner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK])
    await database.runMigrations({ transaction: 'each' })
    await createLogPartitions(database)
  } finally {
    await runner.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined)
    await runner.release()
  }
}
