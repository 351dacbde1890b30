import { Ctx, Query, Resolver } from 'type-graphql'
import { readInstallation, VERSION } from '../engine/installation.js'
import { ServerInfoType } from '../schema/server-info.js'
import type { RequestContext } from './request-context.js'

@Resolver()
export class ServerInfoResolver {
  @Query(() => ServerInfoType, { description: 'This installation of Longshore.' })
  async serverInfo(
    @Ctx() { queries, address: { baseDomain, publicUrl, router } }: RequestContext,
  ): Promise<ServerInfoType> {
    return { version: VERSION, baseDomain, publicUrl, router, ...(await readInstallation(queries.database)) }
  }
}
