import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort, until } from './server.js'
import type { Gateway } from './traefik.js'

/** Traefik's binary on this machine: TRAEFIK_BIN, or the one on the PATH; null where there is none. */
export function findTraefik(): string | null {
  const file = process.env.TRAEFIK_BIN ?? 'traefik'
  try {
    execFileSync(file, ['version'], { stdio: 'ignore' })
    return file
  } catch {
    return null
  }
}

/** The real one, without any other provider than the folder. */
export function startTraefik(file: string, folder: string): Promise<Gateway> {
  return start(file, [
    `--providers.file.directory=${folder}`,
    '--providers.file.watch=true',
    '--providers.providersThrottleDuration=100ms',
  ])
}

/** The real one, by the labels of one installation's containers; `settings` are what its operator adds. */
export function startLabelTraefik(
  file: string,
  engine: string,
  instanceId: string,
  settings: readonly string[],
): Promise<Gateway> {
  return start(file, [
    `--providers.docker.endpoint=${engine}`,
    '--providers.docker.exposedByDefault=false',
    '--providers.docker.network=longshore',
    `--providers.docker.constraints=Label(\`longshore.instance\`,\`${instanceId}\`)`,
    ...settings,
  ])
}

async function start(file: string, args: readonly string[]): Promise<Gateway> {
  const port = await freePort()
  const apiPort = await freePort()
  const own = [
    `--entryPoints.web.address=127.0.0.1:${port}`,
    `--entryPoints.traefik.address=127.0.0.1:${apiPort}`,
    '--api.insecure=true',
    '--global.checkNewVersion=false',
    '--global.sendAnonymousUsage=false',
  ]
  const child: ChildProcess = spawn(file, [...args, ...own], { stdio: 'ignore' })
  const api = `http://127.0.0.1:${apiPort}`
  await until(() =>
    fetch(`${api}/api/version`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  return {
    port,
    api,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
