import { execFileSync } from 'node:child_process'
import { DockerHttp, filters } from './docker-http.js'

/** The engine that scripts/lib/docker-engine.mjs has found: the command line, which inherits it, asks the same. */
export const ENGINE_HOST = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock'
/** Asked without the command line, of which each look takes a tenth of a second of processor. */
const engine = new DockerHttp(ENGINE_HOST)

/** What the command line writes, without space around it; its errors are in what is thrown. */
export function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** Names of containers with a label, running or not. */
export async function containerNames(label: string): Promise<string[]> {
  const containers = await get<{ Names: string[] }[]>(`/containers/json?all=1&${filters({ label: [label] })}`)
  return containers.map(({ Names }) => (Names[0] ?? '').slice('/'.length))
}

/** What the engine's list says of containers with a label that run, as far as `T` reads it. */
export function runningContainers<T>(label: string): Promise<T[]> {
  return get<T[]>(`/containers/json?${filters({ label: [label] })}`)
}

/** Images with a label, as repository:tag, or by their ids where they have no name. */
export async function imageNames(label: string): Promise<string[]> {
  const images = await get<{ Id: string; RepoTags: string[] | null }[]>(
    `/images/json?${filters({ label: [label] })}`,
  )
  return images.flatMap(({ Id, RepoTags }) => (RepoTags?.length ? RepoTags : [Id]))
}

/** What the engine says of a container, as far as `T` reads it. Fails where there is none. */
export function inspectContainer<T>(name: string): Promise<T> {
  return get<T>(`/containers/${name}/json`)
}

/** Whether a container runs. Fails where there is none. */
export async function isRunning(name: string): Promise<boolean> {
  return (await inspectContainer<{ State: { Running: boolean } }>(name)).State.Running
}

async function get<T>(path: string): Promise<T> {
  const answer = await engine.call('GET', path)
  if (answer.status !== 200) throw new Error(`the Docker engine answers ${answer.status}: ${answer.text}`)
  return answer.json<T>()
}
