import { Field, Int, ObjectType } from 'type-graphql'

@ObjectType('ServerInfo', { description: 'This installation of Longshore.' })
export class ServerInfoType {
  @Field(() => String, { description: 'Version of this server.' })
  version!: string

  @Field(() => String, { description: "The parent domain of the apps' hosts." })
  baseDomain!: string

  @Field(() => String, { description: 'URL at which browsers and forges reach the API.' })
  publicUrl!: string

  @Field(() => String, { description: 'How traffic is routed: builtin, traefik, traefik-labels or off.' })
  router!: string

  @Field(() => String, {
    nullable: true,
    description: 'Version of the Docker engine. Null: no worker can reach one.',
  })
  dockerVersion!: string | null

  @Field(() => Int, { description: 'Number of waiting deployments.' })
  queueLength!: number

  @Field(() => Int, { description: 'Number of workers seen in the last few seconds.' })
  workers!: number
}
