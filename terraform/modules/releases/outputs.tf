output "releases" {
  description = "What there is, by key: the settings and wiring that each release was made with, its sizes now, and its names in AWS."
  value = {
    for key, release in local.releases : key => {
      settings   = terraform_data.release[key].input.settings
      min_size   = release.min_size
      max_size   = release.max_size
      desired    = terraform_data.release[key].input.desired
      pin        = release.pin
      drain      = release.drain
      group_name = aws_autoscaling_group.release[key].name
      # The id is known only once the template exists.
      template_id = aws_launch_template.release[key].id
      wiring      = terraform_data.release[key].input.wiring
    }
  }
}

output "wiring" {
  description = "Short hash of the wiring that a new release would be made with now."
  value       = local.wiring
}

output "memory" {
  description = "The text given as `memory` with the last apply that gave one."
  value       = terraform_data.memory.input
}
