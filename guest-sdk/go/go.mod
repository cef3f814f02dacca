module sandmill

go 1.25
