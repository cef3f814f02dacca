module conform

go 1.25

require sandmill v0.0.0

replace sandmill => ../../../guest-sdk/go
