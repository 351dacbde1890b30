import { ConfigError, type Config, readConfig } from './config.js'
import { type OpenCore, openCore } from './core.js'
import { Disposal } from './disposal.js'
import { WrongKeyError } from './engine/secrets/instance.js'
import { createLogger, type Logger } from './logger.js'

/** The whole stop, including what a deployment under way takes to hand over once its grace time is over. */
const STOP_MS = 30_000
const HAND_OVER_MS = 5_000

/**
 * Runs Longshore until SIGINT or SIGTERM: opens the database and starts the roles asked for. It stops once its
 * deployments have ended or are back in the queue; until then the API and the router serve. A second signal, or 30 s (5 s more than STOP_GRACE_SECONDS if that is longer), ends the process at once; what it
 * leaves is taken up at the next start.
 */
export async function main(): Promise<void> {
  let config: Config
  try {
    config = readConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
    return
  }
  const logger = createLogger(config.logLevel)
  endAtOnceOnFaults(logger)
  const stopped = firstSignal(logger)
  const opened = new Disposal()
  try {
    const core = opened.use(await openCore(config, logger))
    const roles = await startRoles(core, opened, stopped)
    await Promise.race([stopped, core.failed])
    // While a build ends, the API and the router go on: the stop of everything else waits for it.
    opened.defer(() => roles.handOver())
  } catch (error) {
    const isSetting = error instanceof WrongKeyError || error instanceof ConfigError
    if (isSetting) process.stderr.write(`${error.message}\n`)
    else logger.error('Longshore stops: fatal error', { error })
    process.exitCode = isSetting ? 2 : 1
  }
  await close(opened, logger, Math.max(STOP_MS, config.stopGraceMs + HAND_OVER_MS))
}

interface Roles {
  /** Resolves once nothing is under way in this process. */
  handOver(): Promise<void>
}

async function startRoles(core: OpenCore, opened: Disposal, stopped: Promise<void>): Promise<Roles> {
  const { config, logger } = core
  let handOver = () => Promise.resolve()
  let isDraining = false
  void stopped.then(() => (isDraining = true))
  // Each role is loaded only where it runs: an API process has no Docker client and no git in it.
  if (config.roles.includes('worker')) {
    const { startWorker } = await import('./worker.js')
    const worker = opened.use(await startWorker(core))
    handOver = () => worker.handOver()
    // At the signal, also where the start of the API is still under way.
    void stopped.then(() => worker.stopClaiming())
    logger.info('worker started', { router: worker.routerPort ?? 'off', concurrency: config.concurrency })
  }
  if (config.roles.includes('api')) {
    const { startApi } = await import('./api.js')
    const { url } = opened.use(await startApi(core, () => isDraining))
    logger.info('API started', { graphql: `${url}/graphql`, rest: `${url}/api/v1` })
  }
  return { handOver }
}

/**
 * The last resort for an error that nobody waits for. What the process holds may be anything by then, so nothing of it is
 * handed over: the next start takes it up and counts the attempt, or a deployment that brings this about would do so for ever.
 */
function endAtOnceOnFaults(logger: Logger): void {
  process.on('uncaughtException', (error) => {
    logger.error('unhandled error: this process ends, and a worker resumes what was under way', {
      error,
    })
    process.exit(1)
  })
}

function firstSignal(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    let seen = false
    const onSignal = (signal: NodeJS.Signals) => {
      if (seen) process.exit(1)
      seen = true
      logger.info('stopping; send the signal again to quit now', { signal })
      resolve()
    }
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  })
}

async function close(opened: Disposal, logger: Logger, maxMs: number): Promise<void> {
  const force = setTimeout(() => {
    logger.error('did not stop in time; quitting now', { milliseconds: maxMs })
    process.exit(1)
  }, maxMs)
  try {
    await opened[Symbol.asyncDispose]()
    logger.info('stopped')
  } catch (error) {
    logger.error('did not stop cleanly', { error })
    process.exitCode = 1
  }
  clearTimeout(force)
  // Signal handlers and a lost socket of a library would keep the process alive.
  process.exit()
}
