# frozen_string_literal: true

Gem::Specification.new do |gem|
  gem.name = "live_monitoring"
  gem.version = File.read(File.join(__dir__, "live_monitoring/service.rb"))[/VERSION = "(.+)"/, 1]
  gem.summary = "Reports where an AI agent fails a customer: never raises into the bot, never blocks it"
  gem.authors = ["AI Agent Live Monitoring"]
  gem.license = "Apache-2.0"
  gem.required_ruby_version = ">= 2.7"
  gem.files = Dir.chdir(__dir__) { Dir["live_monitoring.rb", "live_monitoring/*.rb", "README.md"] }
  gem.require_paths = ["."]
end
