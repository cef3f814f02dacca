module example.com/{{name}}

go 1.25

require sandmill v0.0.0

// Written by `sandmill plugin build`, of the version of the program.
replace sandmill => ./.sandmill/kit/go
