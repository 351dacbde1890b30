import { Field, Int, ObjectType } from 'type-graphql'

@ObjectType('ServerInfo', { description: 'This installation of Longshore.' })
export class ServerInfoType {
  @Field(() => String, { description: 'Version of the server that answers.' })
  version!: string

  @Field(() => String, { description: 'The domain below which apps have their hosts.' })
  baseDomain!: string

  @Field(() => String, { description: 'Where browsers and forges reach the API.' })
  publicUrl!: string

  @Field(() => String, { description: 'How traffic is routed: builtin, traefik, traefik-labels or off.' })
  router!: string

  @Field(() => String, {
    nullable: true,
    description: 'Version of the Docker engine. Null: no worker reaches one.',
  })
  dockerVersion!: string | null

  @Field(() => Int, { description: 'Deployments that wait.' })
  queueLength!: number

  @Field(() => Int, { description: 'Workers that have been seen within the last seconds.' })
  workers!: number
}
