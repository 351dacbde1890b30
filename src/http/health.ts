import type { FastifyInstance } from 'fastify'
import type { DataSource } from 'typeorm'
import { ENGINE_PROBLEMS } from '../engine/docker/engine-error.js'
import { readDocker } from '../engine/installation.js'
import type { Logger } from '../logger.js'
import type { ServerDependencies } from './server-dependencies.js'

/** A database that says nothing for this long counts as away. */
const DATABASE_MS = 2_000

interface State {
  readonly status: 'ok' | 'down' | 'unknown'
  readonly message: string | null
}

interface DockerState extends State {
  readonly version: string | null
}

/**
 * GET /health: process, database and Docker, each with its state. GET /ready: whether requests can be answered and this
 * process is not about to stop. Both are open, so that they say nothing of a driver's: addresses, names and paths are in the log.
 */
export function serveHealth(
  app: FastifyInstance,
  { api: { queries }, logger, absence, isDraining }: ServerDependencies,
): void {
  const report = reportOnce(logger)
  app.get('/health', { config: { open: true } }, async (_request, reply) => {
    const database = await databaseState(queries.database, report)
    const docker =
      database.status === 'ok' ? await dockerState(queries.database, report, absence.message) : UNKNOWN
    const status = database.status !== 'ok' ? 'down' : docker.status === 'ok' ? 'ok' : 'degraded'
    const process = { status: 'ok', message: null, uptime_seconds: Math.round(globalThis.process.uptime()) }
    return reply.code(status === 'down' ? 503 : 200).send({ status, process, database, docker })
  })
  app.get('/ready', { config: { open: true } }, async (_request, reply) => {
    if (isDraining?.()) return reply.code(503).send({ ready: false, draining: true })
    const database = await databaseState(queries.database, report)
    return reply.code(database.status === 'ok' ? 200 : 503).send({ ready: database.status === 'ok' })
  })
}

type Report = (what: string, error: string | null) => void

/** Writes an error down when it is another than the time before: who asks every second must not fill the log. */
function reportOnce(logger: Logger): Report {
  const last = new Map<string, string | null>()
  return (what, error) => {
    if (error !== null && last.get(what) !== error) logger.warn(`health: ${what} is down`, { error })
    last.set(what, error)
  }
}

const DATABASE_DOWN = 'the database does not answer: the log says why'

const UNKNOWN: DockerState = {
  status: 'unknown',
  message: 'unknown while the database is down',
  version: null,
}

async function databaseState(database: DataSource, report: Report): Promise<State> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${DATABASE_MS} ms`)), DATABASE_MS)
  })
  try {
    await Promise.race([database.query('SELECT 1'), late])
    report('the database', null)
    return { status: 'ok', message: null }
  } catch (error) {
    report('the database', (error as Error).message)
    return { status: 'down', message: DATABASE_DOWN }
  } finally {
    clearTimeout(timer)
  }
}

/** What the workers last saw: the API role itself has no Docker client. */
async function dockerState(
  database: DataSource,
  report: Report,
  absence: string | null,
): Promise<DockerState> {
  const docker = await readDocker(database)
  if (!docker)
    return { status: 'unknown', message: `${absence ?? 'no worker runs'}: deployments wait`, version: null }
  report('the Docker engine', docker.error)
  if (docker.error !== null) return { status: 'down', message: dockerDown(docker.error), version: null }
  return { status: 'ok', message: null, version: docker.version }
}

/** The kind of the problem: where the engine is, and who was refused, is for the log. */
function dockerDown(error: string): string {
  const problem = Object.values(ENGINE_PROBLEMS).find((text) => error.startsWith(text))
  return `${problem ?? ENGINE_PROBLEMS.AWAY}: the log says why`
}
