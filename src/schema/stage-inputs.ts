import { Field, Float, InputType, Int } from 'type-graphql'

@InputType('HealthCheckInput', {
  description: 'Changes to a health check. What is left out stays as it is; null resets to the default.',
})
export class HealthCheckInput {
  @Field(() => String, {
    nullable: true,
    description:
      "GET this path; 200 to 399 is healthy. Null: the image's HEALTHCHECK if it has one, else TCP.",
  })
  path?: string | null

  @Field(() => Int, { description: 'Seconds between two checks.', nullable: true })
  intervalSeconds?: number | null

  @Field(() => Int, { description: 'Seconds that one check may take.', nullable: true })
  timeoutSeconds?: number | null

  @Field(() => Int, {
    description: 'Seconds until a version that does not become healthy has failed.',
    nullable: true,
  })
  deadlineSeconds?: number | null

  @Field(() => Int, {
    description:
      'How long it must stay healthy before traffic moves. Null: 3 when it replaces a serving version, 0 when nothing serves yet.',
    nullable: true,
  })
  stableSeconds?: number | null
}

@InputType('LimitsInput', {
  description: 'Changes to limits. What is left out stays as it is; null resets to the default.',
})
export class LimitsInput {
  @Field(() => Float, {
    description: 'Memory, in bytes. A container that needs more is killed (OUT_OF_MEMORY).',
    nullable: true,
  })
  memoryBytes?: number | null

  @Field(() => Float, { description: 'Processors; fractions are allowed.', nullable: true })
  cpus?: number | null

  @Field(() => Int, { description: 'Processes and threads.', nullable: true })
  pids?: number | null
}

@InputType('UpdateStageInput', {
  description: 'What is left out stays as it is; null resets to the default.',
})
export class UpdateStageInput {
  @Field(() => String, { description: "The branch that it follows. Null: the app's.", nullable: true })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A glob such as v*: pushed tags that match are deployed, and pushed branches are not.',
  })
  tags?: string | null

  @Field(() => Int, { description: 'How many containers serve.', nullable: true })
  replicas?: number | null

  @Field(() => Boolean, { description: 'Whether pushes are deployed by the webhook.', nullable: true })
  autoDeploy?: boolean | null

  @Field(() => HealthCheckInput, { description: 'How new versions are checked.', nullable: true })
  healthCheck?: HealthCheckInput | null

  @Field(() => LimitsInput, { description: 'What each container may use.', nullable: true })
  limits?: LimitsInput | null
}
