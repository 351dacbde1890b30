import type Docker from 'dockerode'
import { DeployError, InfrastructureError, LostClaimError } from '../errors.js'
import { EPOCH_LABEL, INSTANCE_LABEL } from '../names.js'
import { mentionsResourceExhaustion } from '../resource-exhaustion.js'
import { ignoreMissing } from './calls.js'
import { containerOptions } from './container-options.js'
import { type ContainerRequest, NETWORK } from './docker.js'
import { isPausedError, missingNetwork } from './engine-messages.js'
import { startAdvice } from './start-failures.js'
import { removeWhole } from './removal.js'

/** The container's address on the bridge that all containers of apps are on. */
export function addressIn(settings: { Networks: Record<string, { IPAddress: string }> }): string | null {
  return settings.Networks[NETWORK]?.IPAddress || null
}

async function ensureNetwork(docker: Docker): Promise<void> {
  if ((await findNetworks(docker)).length === 0) await createNetwork(docker)
  // The engine does not keep two that see none at the same time from making one each. All take away the newest; one that
  // containers are on stays.
  const namesakes = await findNetworks(docker)
  let left = namesakes.length
  for (const { Id } of namesakes) {
    if (left === 1) return
    const isGone = await ignoreMissing(docker.getNetwork(Id).remove()).then(
      () => true,
      () => false,
    )
    if (isGone) left -= 1
  }
}

/** Newest first. */
async function findNetworks(docker: Docker): Promise<{ readonly Id: string }[]> {
  const found = await docker.listNetworks({ filters: { name: [NETWORK] } })
  const age = ({ Created, Id }: Docker.NetworkInspectInfo) => `${Created} ${Id}`
  return found.filter(({ Name }) => Name === NETWORK).sort((one, other) => age(other).localeCompare(age(one)))
}

async function createNetwork(docker: Docker): Promise<void> {
  // Docker Compose takes over a network with this label, should compose.yaml be used on this host later.
  const Labels = { 'com.docker.compose.network': 'apps' }
  try {
    await docker.createNetwork({ Name: NETWORK, Driver: 'bridge', CheckDuplicate: true, Labels })
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 409) throw error // another worker made it
  }
}

/** Creates the container, or adopts one that the same claim made before: an answer may have been lost. */
export async function createContainer(
  docker: Docker,
  request: ContainerRequest,
  signal: AbortSignal,
): Promise<void> {
  const { name, ...body } = containerOptions(request, NETWORK)
  // As one object dockerode sends all of it in the URL as well, which proxies and logs keep: values of variables are in it.
  const options = { _query: { name }, _body: body } as Docker.ContainerCreateOptions
  const create = () => docker.createContainer(options).catch(refused)
  try {
    await create()
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 409) throw error // the name is free: something else
    const found = await ignoreMissing(docker.getContainer(request.name).inspect())
    const labels = found?.Config.Labels
    if (found && found.Image === request.image && hasLabels(labels, request.labels)) return
    if (found && !isOwn(labels, request.labels)) throw taken(request.name, found.Id)
    if (epochOf(labels) > epochOf(request.labels)) throw new LostClaimError(request.name)
    if (found) await removeWhole((work) => work(docker), found.Id)
    signal.throwIfAborted()
    await create()
  }
}

/** 400: what was asked for this host cannot give, such as more processors than it has. */
function refused(error: unknown): never {
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode !== 400) throw error
  const text = `the Docker engine refuses the container: ${message?.trim()}`
  throw new DeployError('START_FAILED', `${text}${startAdvice(text)}`, { cause: error })
}

/** Made by this installation. The epoch tells it from what a person runs of one of its images. */
function isOwn(found: ContainerRequest['labels'] | undefined, wanted: ContainerRequest['labels']): boolean {
  return found?.[EPOCH_LABEL] !== undefined && found[INSTANCE_LABEL] === wanted[INSTANCE_LABEL]
}

function taken(name: string, id: string): DeployError {
  const message = `the name ${name} is taken by a container that this installation did not create (${id.slice(0, 12)}): rename or remove it (docker rename, docker rm), then deploy again`
  return new DeployError('START_FAILED', message)
}

function epochOf(labels: ContainerRequest['labels'] | undefined): number {
  return Number(labels?.[EPOCH_LABEL] ?? 0)
}

export function hasLabels(
  found: Readonly<Record<string, string>> | undefined,
  wanted: ContainerRequest['labels'],
): boolean {
  return Object.entries(wanted).every(([name, value]) => found?.[name] === value)
}

export async function startContainer(docker: Docker, name: string): Promise<void> {
  const container = docker.getContainer(name)
  try {
    await ignoreMissing(container.start().catch((error: unknown) => startOtherwise(docker, name, error)))
  } catch (error) {
    const { statusCode, message } = error as { statusCode?: number; message?: string }
    if (statusCode === undefined) throw error
    const text = `the container could not be started: ${message?.trim()}`
    if (mentionsResourceExhaustion(message ?? '')) throw new InfrastructureError('START_FAILED', text, error)
    throw new DeployError('START_FAILED', `${text}${startAdvice(text)}`, { cause: error })
  }
}

/**
 * A paused one is not to be started. The first of all, or the first after `docker network prune`, finds no network; of
 * two that were made at the same time the engine takes neither.
 */
async function startOtherwise(docker: Docker, name: string, error: unknown): Promise<void> {
  const { statusCode, message = '' } = error as { statusCode?: number; message?: string }
  if (statusCode === 409 && isPausedError(message)) return void (await docker.getContainer(name).unpause())
  if (missingNetwork(message) !== NETWORK) throw error
  await ensureNetwork(docker)
  await docker.getContainer(name).start()
}
