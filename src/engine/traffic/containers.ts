import type { Configuration } from '../../entities/configuration.js'
import type { App } from '../../entities/app.js'
import type { Stage } from '../../entities/stage.js'
import type { Services } from '../services.js'
import type { Deployment } from '../../entities/deployment.js'
import type { ContainerRequest } from '../docker/docker.js'
import { containerName, stageHost } from '../addresses.js'
import { containerLabels } from '../routing/labels.js'

/** Whose containers. */
export interface ContainerOwner {
  readonly appId: string
  readonly appName: string
  readonly stageId: string
  readonly stageName: string
  readonly deploymentId: string
  /** Of the claim that makes them, or made them. */
  readonly epoch: number
  readonly instanceId: string
  readonly baseDomain: string
  /** Whether containers carry the stage's host in their labels, as well as their own. */
  readonly carriesStage: boolean
}

export interface ContainerPlan {
  readonly imageId: string
  readonly port: number
  readonly configuration: Configuration
  readonly variables: ReadonlyMap<string, string>
}

/** A deployment with what its containers are named after. */
export interface Version {
  readonly app: App
  readonly stage: Stage
  readonly deployment: Deployment
}

export function ownerOf({ app, stage, deployment }: Version, { settings }: Services): ContainerOwner {
  const { instanceId, baseDomain, router } = settings
  return {
    appId: app.id,
    appName: app.name,
    stageId: stage.id,
    stageName: stage.name,
    deploymentId: deployment.id,
    epoch: deployment.epoch,
    instanceId,
    baseDomain,
    carriesStage: router === 'traefik-labels',
  }
}

/** Names of a deployment's containers, one for each replica; the first has the deployment's own name. */
export function containerNames(appName: string, deploymentId: string, replicas: number): string[] {
  const first = containerName(appName, deploymentId)
  return Array.from({ length: replicas }, (_, index) => (index === 0 ? first : `${first}-${index + 1}`))
}

/** Those of a deployment that ran. */
export function ownContainers(
  appName: string,
  { id, configuration }: Pick<Deployment, 'id' | 'configuration'>,
): string[] {
  return containerNames(appName, id, configuration?.replicas ?? 1)
}

/**
 * What each of a deployment's containers is made with. A pure function of what is stored, so that a container that
 * was lost is made again as it was.
 */
export function containerRequests(owner: ContainerOwner, plan: ContainerPlan): ContainerRequest[] {
  const { configuration, port } = plan
  const env = [...new Map([...plan.variables, ['PORT', String(port)]])].map(
    ([key, value]) => `${key}=${value}`,
  )
  const { memoryBytes, cpus, pids, replicas, command = null } = configuration
  const host = stageHost(owner.appName, owner.stageName, owner.baseDomain)
  const carries = owner.carriesStage ? { stageId: owner.stageId, host } : null
  return containerNames(owner.appName, owner.deploymentId, replicas).map((name) => ({
    name,
    image: plan.imageId,
    command,
    env,
    labels: containerLabels({ ...owner, container: name, port, carries }),
    memoryBytes,
    cpus,
    pids,
  }))
}
