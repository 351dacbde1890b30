/** A request that is tried to see whether it gets through. */
export interface Trial {
  readonly host: string
  readonly path: string
  readonly timeoutMs: number
  /** Where the containers that it is to get to answer past the router. */
  readonly addresses: readonly string[]
  readonly port: number
}

/**
 * What carries requests to containers. The database says where they go (table.ts); a router is a projection of it,
 * made again at any time, and never goes back to an older `route_epoch` of a stage.
 */
export interface Router {
  /**
   * Follows the database now. When it resolves, the router has been told; {@link confirms} says whether it obeys.
   *
   * @throws Error when the database, or the place where the router reads from, is away
   */
  apply(): Promise<void>
  /** Whether a request gets through the router to a container, whatever the container answers. */
  reaches(trial: Trial): Promise<boolean>
  /** Whether the stage's traffic goes to the deployment. Null: nobody can tell, as when the router is away. */
  confirms(stageId: string, deploymentId: string): Promise<boolean | null>
  /** Requests under way for a deployment; null: this router cannot tell. */
  inFlight(deploymentId: string): number | null
}

/** ROUTER=off: another process, or something of the operator's, routes. It is trusted to follow. */
export class NoRouter implements Router {
  apply(): Promise<void> {
    return Promise.resolve()
  }

  reaches(): Promise<boolean> {
    return Promise.resolve(true)
  }

  confirms(): Promise<null> {
    return Promise.resolve(null)
  }

  inFlight(): null {
    return null
  }
}
