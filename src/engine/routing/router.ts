import type { DataSource } from 'typeorm'
import type { Logger } from '../../logger.js'
import type { Wakeups } from '../wakeups/wakeups.js'

/** What a router follows the database with. */
export interface RouterDependencies {
  readonly database: DataSource
  readonly wakeups: Wakeups
  readonly logger: Logger
}

/** A request that tells whether the router gets through to a container. */
export interface ProbeRequest {
  readonly host: string
  readonly path: string
  readonly timeoutMs: number
  /** Where the containers that it is to get to answer past the router. */
  readonly addresses: readonly string[]
  readonly port: number
}

/** The last switch of a stage's traffic. */
export interface Switch {
  readonly stageId: string
  readonly deploymentId: string
  readonly routeEpoch: number
}

/**
 * What carries requests to containers. The database says where they go (table.ts); a router is a projection of it,
 * made again at any time, and never goes back to an older `route_epoch` of a stage.
 */
export interface Router {
  /**
   * The same for all processes that tell the same router, and for one that takes another's place. Null: nobody can say
   * when it has followed, and so nobody waits for it.
   */
  readonly name: string | null
  /**
   * Follows the database now. When it resolves, the router has been told; {@link isRoutedTo} says whether requests
   * follow.
   *
   * @throws Error when the database, or the place where the router reads from, is away
   */
  apply(): Promise<void>
  /**
   * Whether a request gets through the router to a container, whatever the container answers: null. Else what the router
   * was asked and what came back, as a sentence without its end.
   *
   * @throws InfrastructureError OUT_OF_RESOURCES when this process could not ask
   */
  probe(request: ProbeRequest): Promise<string | null>
  /** Whether the stage's traffic goes to the deployment. Null: nobody can tell, as when the router is away. */
  isRoutedTo(stageId: string, deploymentId: string): Promise<boolean | null>
  /** Whether it has applied the switch: new requests for the stage go to the deployment. */
  hasSwitched(last: Switch): Promise<boolean>
  /** Requests under way for a deployment; null: this router cannot tell. */
  inFlight(deploymentId: string): number | null
}

/** ROUTER=off: another process, or something of the operator's, routes. It is trusted to follow. */
export class NoRouter implements Router {
  readonly name: string | null = null

  apply(): Promise<void> {
    return Promise.resolve()
  }

  probe(): Promise<null> {
    return Promise.resolve(null)
  }

  isRoutedTo(): Promise<null> {
    return Promise.resolve(null)
  }

  hasSwitched(): Promise<boolean> {
    return Promise.resolve(true)
  }

  inFlight(): null {
    return null
  }
}
